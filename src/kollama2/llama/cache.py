"""The KV cache: allocated once for the largest batch and length, never copied while it grows.

transformers' dynamic cache copies itself at every token; its static one lets attention read all
positions, used or not. This one hands out views of the used positions.
"""

import torch
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin


class FixedCache(Cache):  # type: ignore[misc]
    """Keys and values of every layer for `rows` × `length` positions.

    A forward pass writes where `at_columns` or `at_positions` said before it, into the rows from
    `first` on.

    Args:
        layers: of the model.
        rows: the largest batch.
        length: the longest sequence in tokens.
    """

    def __init__(self, layers: int, rows: int, length: int) -> None:
        self.rows, self.length = rows, length
        self.first = 0
        self.start = 0
        self.used = 0
        self.positions: torch.Tensor | None = None
        super().__init__(layers=[_Layer(self) for _ in range(layers)])

    def at_columns(self, start: int, end: int, first: int = 0) -> None:
        """The next pass computes the same positions of every row: `start` to `end`."""
        self.first, self.start, self.used, self.positions = first, start, end, None

    def at_positions(self, positions: torch.Tensor, used: int) -> None:
        """The next pass computes one position of each row.

        Args:
            positions: (rows,) where each row writes.
            used: positions that attention has to see, of the longest row.
        """
        self.first, self.start, self.used, self.positions = 0, used - 1, used, positions

    def move(self, source: int, target: int, length: int) -> None:
        """Put the first positions of a row in the place of another's."""
        for layer in self.layers:
            for whole in (layer.keys, layer.values):
                whole[target, :, :length] = whole[source, :, :length]


class _Layer(CacheLayerMixin):  # type: ignore[misc]
    is_sliding = False

    def __init__(self, whole: FixedCache) -> None:
        super().__init__()
        self._whole = whole

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        # The heads are counted here, because model parallelism leaves each process a share of them.
        shape = (self._whole.rows, key_states.shape[1], self._whole.length)
        self.keys = key_states.new_zeros(*shape, key_states.shape[-1])
        self.values = value_states.new_zeros(*shape, value_states.shape[-1])
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        whole, rows = self._whole, key_states.shape[0]
        own = slice(whole.first, whole.first + rows)
        keys, values = self.keys[own], self.values[own]
        if whole.positions is None:
            new = whole.used - whole.start
            keys.narrow(2, whole.start, new).copy_(key_states)
            values.narrow(2, whole.start, new).copy_(value_states)
        else:
            every = torch.arange(rows, device=key_states.device)
            keys[every, :, whole.positions] = key_states[:, :, 0]
            values[every, :, whole.positions] = value_states[:, :, 0]
        return keys.narrow(2, 0, whole.used), values.narrow(2, 0, whole.used)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._whole.used, 0

    def get_seq_length(self) -> int:
        return self._whole.start

    def get_max_length(self) -> int:
        return self._whole.length
