"""Chat templates of the forms that families have, with their quirks, in our own words.

Each does what its family's does to a chat: trims or keeps, folds the system turn away or refuses
it, adds a system turn or a date of its own, drops earlier thoughts, demands alternation.
"""

_SPLIT = """\
{%- if messages[0].role == 'system' -%}
{%- set system = messages[0].content -%}{%- set turns = messages[1:] -%}
{%- else -%}{%- set system = '' -%}{%- set turns = messages -%}{%- endif -%}
"""
_ALTERNATE = """\
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}
{{- raise_exception('user and assistant must take turns here') -}}
{%- endif -%}
"""
_CHATML = """\
{%- for m in messages -%}
{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
# Where the last question stands: what was thought before it is dropped.
_LAST = """\
{%- set at = namespace(last=0) -%}
{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set at.last = loop.index0 -%}{%- endif -%}
{%- endfor -%}
"""
_THOUGHTS = """\
{%- set said = m.content -%}{%- set thought = m.reasoning_content or '' -%}
{%- if not thought and '</think>' in said -%}
{%- set thought = said.split('</think>')[0].split('<think>')[-1] -%}
{%- set said = said.split('</think>')[-1].lstrip('\\n') -%}
{%- endif -%}
"""


def _default(text: str) -> str:
    """A system turn of the template's own, where the chat has none."""
    return (
        "{%- if messages[0].role != 'system' -%}"
        f"{{{{- '<|im_start|>system\\n{text}<|im_end|>\\n' -}}}}"
        "{%- endif -%}"
    )


LLAMA2 = f"""{_SPLIT}
{{%- for m in turns -%}}
{_ALTERNATE}
{{%- if m.role == 'user' -%}}
{{%- set asked = m.content -%}}
{{%- if loop.first and system -%}}
{{%- set asked = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + asked -%}}
{{%- endif -%}}
{{{{- bos_token + '[INST] ' + asked | trim + ' [/INST]' -}}}}
{{%- else -%}}{{{{- ' ' + m.content | trim + ' ' + eos_token -}}}}{{%- endif -%}}
{{%- endfor -%}}
"""

# A system turn with a date in every chat; contents are trimmed.
LLAMA3_2 = f"""{_SPLIT}
{{%- if date_string is not defined -%}}
{{%- set date_string = strftime_now("%d %b %Y") -%}}{{%- endif -%}}
{{{{- bos_token + '<|start_header_id|>system<|end_header_id|>\\n\\n' -}}}}
{{{{- 'Knowledge ends in 2023.\\nToday is ' + date_string + '.\\n\\n' -}}}}
{{{{- system | trim + '<|eot_id|>' -}}}}
{{%- for m in turns -%}}
{{{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' -}}}}
{{{{- m.content | trim + '<|eot_id|>' -}}}}
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}
{{{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}}}
{{%- endif -%}}
"""

# The system text goes into the last question, wherever that is.
MISTRAL = f"""{_SPLIT}{{{{- bos_token -}}}}
{{%- for m in turns -%}}
{_ALTERNATE}
{{%- if m.role == 'user' -%}}
{{%- set last = loop.index0 >= turns | length - 2 -%}}
{{{{- '[INST] ' + (system + '\\n\\n' if system and last else '') + m.content + '[/INST]' -}}}}
{{%- else -%}}{{{{- ' ' + m.content | trim + eos_token -}}}}{{%- endif -%}}
{{%- endfor -%}}
"""

MISTRAL3 = f"""{_SPLIT}{{{{- bos_token -}}}}
{{%- if not system -%}}
{{%- set system = 'You answer briefly. It is ' + strftime_now('%Y-%m-%d') + '.' -%}}
{{%- endif -%}}
{{{{- '[SYSTEM_PROMPT]' + system + '[/SYSTEM_PROMPT]' -}}}}
{{%- for m in turns -%}}
{_ALTERNATE}
{{%- if m.role == 'user' -%}}{{{{- '[INST]' + m.content + '[/INST]' -}}}}
{{%- else -%}}{{{{- m.content + eos_token -}}}}{{%- endif -%}}
{{%- endfor -%}}
"""

QWEN2 = _default("You are a model that helps.") + _CHATML
SMOLLM2 = _default("You are a small model that helps.") + _CHATML

QWEN3 = f"""{_LAST}
{{%- for m in messages -%}}
{{%- if m.role != 'assistant' -%}}
{{{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' -}}}}
{{%- else -%}}
{_THOUGHTS}
{{{{- '<|im_start|>assistant\\n' -}}}}
{{%- if loop.index0 > at.last and (loop.last or thought) -%}}
{{{{- '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' -}}}}
{{%- endif -%}}
{{{{- said + '<|im_end|>\\n' -}}}}
{{%- endif -%}}
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}
{{{{- '<|im_start|>assistant\\n' -}}}}
{{%- if enable_thinking is defined and not enable_thinking -%}}
{{{{- '<think>\\n\\n</think>\\n\\n' -}}}}{{%- endif -%}}
{{%- endif -%}}
"""

# Contents are trimmed, and a prompt opens the thoughts of the answer.
QWEN3_5 = f"""{_LAST}
{{%- for m in messages -%}}
{{%- if m.role != 'assistant' -%}}
{{{{- '<|im_start|>' + m.role + '\\n' + m.content | trim + '<|im_end|>\\n' -}}}}
{{%- else -%}}
{_THOUGHTS}
{{{{- '<|im_start|>assistant\\n' -}}}}
{{%- if loop.index0 > at.last -%}}
{{{{- '<think>\\n' + thought | trim + '\\n</think>\\n\\n' -}}}}
{{%- endif -%}}
{{{{- said | trim + '<|im_end|>\\n' -}}}}
{{%- endif -%}}
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}{{{{- '<|im_start|>assistant\\n<think>\\n' -}}}}{{%- endif -%}}
"""

GEMMA2 = f"""{{{{- bos_token -}}}}
{{%- if messages[0].role == 'system' -%}}
{{{{- raise_exception('there is no system turn here') -}}}}{{%- endif -%}}
{{%- for m in messages -%}}
{_ALTERNATE}
{{{{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' -}}}}
{{{{- m.content | trim + '<end_of_turn>\\n' -}}}}
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}{{{{- '<start_of_turn>model\\n' -}}}}{{%- endif -%}}
"""

GEMMA3 = f"""{_SPLIT}{{{{- bos_token -}}}}
{{%- for m in turns -%}}
{_ALTERNATE}
{{{{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' -}}}}
{{{{- (system + '\\n\\n' if loop.first and system else '') + m.content | trim -}}}}
{{{{- '<end_of_turn>\\n' -}}}}
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}{{{{- '<start_of_turn>model\\n' -}}}}{{%- endif -%}}
"""

# The tokens behind which white space is stripped, and EOS where no answer is asked for.
PHI3 = """\
{%- for m in messages -%}
{{- '<|' + m.role + '|>\\n' + m.content + '<|end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\\n' -}}{%- else -%}{{- eos_token -}}{%- endif -%}
"""

# The last answer ends with EOS and nothing behind it.
OLMO3 = (
    _default("You are a model that helps. You have no functions.")
    + """\
{%- for m in messages -%}
{{- '<|im_start|>' + m.role + '\\n' + m.content -}}
{%- if m.role == 'assistant' and loop.last -%}{{- eos_token -}}
{%- else -%}{{- '<|im_end|>\\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
)

SMOLLM3 = f"""{_SPLIT}
{{{{- '<|im_start|>system\\n## About\\n\\nToday: ' + strftime_now('%d %B %Y') -}}}}
{{{{- '\\nThoughts: none\\n\\n## What to do\\n\\n' + (system or 'Help.') | trim -}}}}
{{{{- '<|im_end|>\\n' -}}}}
{{%- for m in turns -%}}
{{{{- '<|im_start|>' + m.role + '\\n' -}}}}
{{%- if m.role == 'assistant' -%}}
{{{{- '<think>\\n\\n</think>\\n' + m.content.lstrip('\\n') -}}}}
{{%- else -%}}{{{{- m.content -}}}}{{%- endif -%}}
{{{{- '<|im_end|>\\n' -}}}}
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}
{{{{- '<|im_start|>assistant\\n<think>\\n\\n</think>\\n' -}}}}{{%- endif -%}}
"""

GRANITE = f"""{_SPLIT}
{{%- if not system -%}}
{{%- set system = 'Knowledge ends in 2024.\\nToday: ' + strftime_now('%B %d, %Y') + '.' -%}}
{{%- endif -%}}
{{{{- '<|start_of_role|>system<|end_of_role|>' + system + '<|end_of_text|>\\n' -}}}}
{{%- for m in turns -%}}
{{{{- '<|start_of_role|>' + m.role + '<|end_of_role|>' + m.content + '<|end_of_text|>\\n' -}}}}
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}
{{{{- '<|start_of_role|>assistant<|end_of_role|>' -}}}}{{%- endif -%}}
"""

EXAONE4 = f"""{_LAST}
{{%- for m in messages -%}}
{{{{- '[|' + m.role + '|]\\n' -}}}}
{{%- if m.role == 'assistant' -%}}
{_THOUGHTS}
{{%- if loop.index0 > at.last -%}}
{{{{- '<think>\\n' + thought.strip() + '\\n</think>\\n\\n' -}}}}{{%- endif -%}}
{{{{- said.strip() -}}}}
{{%- else -%}}{{{{- m.content.strip() -}}}}{{%- endif -%}}
{{{{- '[|endofturn|]\\n' -}}}}
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}
{{{{- '[|assistant|]\\n<think>\\n\\n</think>\\n\\n' -}}}}{{%- endif -%}}
"""

LFM2 = f"""{{{{- bos_token -}}}}{_LAST}
{{%- for m in messages -%}}
{_THOUGHTS}
{{{{- '<|im_start|>' + m.role + '\\n' -}}}}
{{{{- (said if m.role == 'assistant' and loop.index0 < at.last else m.content) -}}}}
{{{{- '<|im_end|>\\n' -}}}}
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}{{{{- '<|im_start|>assistant\\n' -}}}}{{%- endif -%}}
"""

FALCON_H1 = "{{- bos_token -}}" + _CHATML

# The system text is the developer's; thoughts and answers have channels of their own.
GPT_OSS = f"""{_SPLIT}
{{{{- '<|start|>system<|message|>You help.\\nToday: ' + strftime_now('%Y-%m-%d') -}}}}
{{{{- '\\n\\nReasoning: medium\\n\\n# Channels: analysis, commentary, final.<|end|>' -}}}}
{{%- if system -%}}
{{{{- '<|start|>developer<|message|># Instructions\\n\\n' + system + '\\n\\n<|end|>' -}}}}
{{%- endif -%}}
{{%- for m in turns -%}}
{{%- if m.role == 'assistant' -%}}
{{%- if m.reasoning_content and loop.last -%}}
{{{{- '<|start|>assistant<|channel|>analysis<|message|>' + m.reasoning_content + '<|end|>' -}}}}
{{%- endif -%}}
{{{{- '<|start|>assistant<|channel|>final<|message|>' + m.content -}}}}
{{{{- '<|return|>' if loop.last and not add_generation_prompt else '<|end|>' -}}}}
{{%- else -%}}{{{{- '<|start|>' + m.role + '<|message|>' + m.content + '<|end|>' -}}}}
{{%- endif -%}}
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}{{{{- '<|start|>assistant' -}}}}{{%- endif -%}}
"""
