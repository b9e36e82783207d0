"""Chat templates by name: those of text between BOS and EOS as data, the others as Jinja.

`llama2` is Meta's reference (research of its encoding: BOS and EOS around each pair, white space
stripped, one space before EOS); `kullm`, `koalpaca` and `vicuna` are the prompts that the models of
those names were trained with; `plain` is running text.
"""

from dataclasses import dataclass
from difflib import get_close_matches

from kollama2.errors import BadUsage
from kollama2.model.messages import Message


@dataclass(frozen=True, slots=True)
class Template:
    """How a chat becomes text between control tokens.

    Attributes:
        turn: a user turn up to where the answer begins, with {content}.
        turn_input: the same for an instruction with a separate {input}; where it is empty, the
            input follows the content on a new line.
        system: the {system} text before the first turn; empty texts leave it out.
        system_inside: the system text is part of the first user's content.
        default: the system text where a chat has none.
        default_input: the same where the first instruction has an input.
        answer: an answer, with {content}; EOS follows it.
        bos_each_turn: BOS before every user turn, not only before the first.
    """

    turn: str = ""
    turn_input: str = ""
    system: str = ""
    system_inside: bool = False
    default: str = ""
    default_input: str = ""
    answer: str = "{content}"
    bos_each_turn: bool = False

    def ask(self, turn: Message, system: str | None, *, first: bool) -> str:
        """Return the text of a user turn, with what stands before the first."""
        content, extra = turn["content"], turn.get("input", "").strip()
        if extra and not self.turn_input:
            content = f"{content.strip()}\n{extra}"
        before = ""
        if first:
            default = (extra and self.default_input) or self.default
            said = default if system is None else system
            # Meta's reference keeps the white space inside of the first user's text.
            said = said if self.system_inside else said.strip()
            before = self.system.format(system=said) if said else ""
        if self.system_inside:
            content, before = before + content, ""
        shape = self.turn_input if extra and self.turn_input else self.turn
        return before + shape.format(content=content.strip(), input=extra)


TEMPLATES = {
    "llama2": Template(
        turn="[INST] {content} [/INST]",
        system="<<SYS>>\n{system}\n<</SYS>>\n\n",
        system_inside=True,
        answer=" {content} ",
        bos_each_turn=True,
    ),
    "kullm": Template(
        turn="### 명령어:\n{content}\n\n### 응답:\n",
        turn_input="### 명령어:\n{content}\n\n### 입력:\n{input}\n\n### 응답:\n",
        system="{system}\n\n",
        default="아래는 작업을 설명하는 명령어입니다. 요청을 적절히 완료하는 응답을 작성하세요.",
        default_input="아래는 작업을 설명하는 명령어와 추가 컨텍스트를 제공하는 입력이 짝을 이루는 "
        "예제입니다. 요청을 적절히 완료하는 응답을 작성하세요.",
    ),
    "koalpaca": Template(
        turn="### Instruction(명령어):\n{content}\n\n### Response(응답):",
        turn_input="### Instruction(명령어):\n{content}\n\n### Input(입력):\n{input}\n\n"
        "### Response(응답):",
        system="{system}\n\n",
        default="Below is an instruction that describes a task.\n"
        "아래는 작업을 설명하는 명령어입니다.\n\n"
        "Write a response that appropriately completes the request.\n"
        "명령어에 따른 요청을 적절히 완료하는 응답을 작성하세요.",
        default_input="Below is an instruction that describes a task, paired with an input that "
        "provides further context.\n"
        "아래는 작업을 설명하는 명령어와 추가적 맥락을 제공하는 입력이 짝을 이루는 예제입니다.\n\n"
        "Write a response that appropriately completes the request.\n"
        "요청을 적절히 완료하는 응답을 작성하세요.",
    ),
    "vicuna": Template(
        turn="USER: {content} ASSISTANT:",
        system="{system} ",
        default="A chat between a curious user and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the user's questions.",
        answer=" {content}",
    ),
    "plain": Template(turn="{content}\n\n", system="{system}\n\n"),
}


@dataclass(frozen=True, slots=True)
class Form:
    """A chat template of control tokens.

    Attributes:
        tokens: the control tokens that it is made of.
        jinja: how it is written.
    """

    tokens: tuple[str, ...]
    jinja: str


def _turns(before: str, role: str, after: str, *, first: str = "", prompt: str) -> str:
    """A template whose every turn is `before`, the role, `after` and the content with its end."""
    return (
        "{%- if tools or messages | selectattr('role', 'equalto', 'tool') | list -%}"
        "{{ raise_exception('this template has no form for tools') }}{%- endif -%}"
        f"{first}"
        "{%- for message in messages -%}"
        f"{{{{ '{before}' + {role} + '{after}' }}}}"
        "{%- endfor -%}"
        f"{{%- if add_generation_prompt -%}}{{{{ '{prompt}' }}}}{{%- endif -%}}"
    )


_CHATML = _turns(
    "<|im_start|>",
    "message.role + '\\n' + message.content",
    "<|im_end|>\\n",
    prompt="<|im_start|>assistant\\n",
)
_QWEN_SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
FORMS = {
    "chatml": Form(("<|im_start|>", "<|im_end|>"), _CHATML),
    "qwen": Form(
        ("<|im_start|>", "<|im_end|>"),
        "{%- if messages[0].role != 'system' -%}"
        f"{{{{ '<|im_start|>system\\n{_QWEN_SYSTEM}<|im_end|>\\n' }}}}"
        "{%- endif -%}" + _CHATML,
    ),
    "llama3": Form(
        ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        _turns(
            "<|start_header_id|>",
            "message.role + '<|end_header_id|>\\n\\n' + message.content | trim",
            "<|eot_id|>",
            first="{{ '<|begin_of_text|>' }}",
            prompt="<|start_header_id|>assistant<|end_header_id|>\\n\\n",
        ),
    ),
    "gemma": Form(
        ("<bos>", "<start_of_turn>", "<end_of_turn>"),
        _turns(
            "<start_of_turn>",
            "{'assistant': 'model'}.get(message.role, message.role) + '\\n' + "
            "(said.system if loop.first else '') + message.content | trim",
            "<end_of_turn>\\n",
            first="{{ '<bos>' }}{%- set said = namespace(system='') -%}"
            "{%- if messages[0].role == 'system' -%}"
            "{%- set said.system = messages[0].content | trim + '\\n\\n' -%}"
            "{%- set messages = messages[1:] -%}{%- endif -%}",
            prompt="<start_of_turn>model\\n",
        ),
    ),
}
NAMES = ("own", *TEMPLATES, *FORMS)


def check_template(name: str) -> str:
    """Refuse the name of a template that there is not; returns it otherwise.

    Raises:
        BadUsage: with the nearest name, or all.
    """
    if name not in NAMES:
        near = get_close_matches(name, NAMES, 1)
        raise BadUsage(
            f"there is no template {name!r}; "
            + (f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}")
        )
    return name
