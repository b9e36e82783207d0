"""Training data: read any common form, normalise it, encode chats and text to ids."""
