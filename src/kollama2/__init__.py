"""kollama2: find the best way to teach an English LLM Korean, prove it, hand over the model."""

__version__ = "0.1.0"
