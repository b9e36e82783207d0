"""The reasons for which a test may be skipped where continuous integration runs; no others."""

KNOWN = (
    "slow; run with --slow",
    "no real data here; set KOLLAMA2_DATA to its folder",
    "not among the data here",
    "no vocabulary of llama.cpp among the data",
    "could not import 'xllamacpp': No module named 'xllamacpp'",  # it is no dependency
    "could not import 'playwright.sync_api': No module named 'playwright'",
    "could not import 'libggml': No module named 'libggml'",  # of the extra kquants
    "whole texts have no examples before them",  # a combination of parameters that cannot be
    "mounting is forbidden here",
    "only root can mount a small disk",
    "there is one",  # a CUDA device, where its absence is tested
)


def unknown(reason: str, also: tuple[str, ...] = ()) -> bool:
    """Whether a test was skipped for something that the machine should have had.

    Args:
        reason: as pytest reports it, "Skipped: …".
        also: further reasons that are known on this machine.
    """
    return reason.removeprefix("Skipped: ") not in (*KNOWN, *also)
