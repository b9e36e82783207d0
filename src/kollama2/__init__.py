"""kollama2: find the best way to teach an English LLM Korean, prove it, hand over the model."""

import logging

__version__ = "0.1.0"

# bitsandbytes misses a package for a fused kernel that is never used here (see `model.load.nf4`),
# and says so in every process on CPUs that could have it.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
