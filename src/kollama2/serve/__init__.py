"""An OpenAI-compatible server for models at hand, and for others behind the same checks."""
