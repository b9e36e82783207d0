"""Pages: what is under every page that a server here shows: its frame, its look and its safety."""
