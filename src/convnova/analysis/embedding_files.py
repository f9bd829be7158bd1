"""Embeddings into a file, block by block as they are made: Parquet, npy, or Zarr; whole or not at all.

::

    .parquet   name, chromosome, start, end, strand (where they are known), embedding     a row an embedding
    .npy       (rows, C), and NAME.names.csv with the other columns
    .zarr      arrays embedding (rows, C), and one for each other column
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from convnova.errors import optional
from convnova.writing import check_new, whole_file, whole_zarr

ROWS = 4096
"""Of a chunk of Zarr."""


class EmbeddingFile(ABC):
    """A file that is being filled."""

    @abstractmethod
    def add(self, places: pl.DataFrame, values: NDArray[np.floating]) -> None:
        """Add embeddings (rows, C) and what they are of, a row each."""


@contextmanager
def embedding_file(path: Path, channels: int, half: bool, overwrite: bool = False) -> Iterator[EmbeddingFile]:
    """Give a file to add embeddings to; it is there, whole, once nothing has failed.

    Raises:
        InputError: when the library of its format is missing, or the file exists and may not be replaced.
    """
    names = path.with_suffix(".names.csv")
    for one in (path, names) if path.suffix == ".npy" else (path,):
        check_new(one, overwrite)
    dtype = np.dtype(np.float16 if half else np.float32)
    if path.suffix == ".parquet":
        with whole_file(path) as staging:
            parquet = _Parquet(staging, channels, dtype)
            try:
                yield parquet
            finally:
                parquet.close()
    elif path.suffix == ".npy":
        with (
            whole_file(path) as staging,
            whole_file(names) as beside,
            staging.open("wb") as file,
            beside.open("w", encoding="utf-8") as text,
        ):
            npy = _Npy(file, text, channels, dtype)
            yield npy
            npy.close()
    else:
        with whole_zarr(path) as staging:
            yield _Zarr(staging, channels, dtype)


class _Parquet(EmbeddingFile):
    def __init__(self, path: Path, channels: int, dtype: np.dtype[Any]):
        self._arrow = optional("pyarrow", "such a file", "embeddings")
        self._library = optional("pyarrow.parquet", "such a file", "embeddings")
        self._path, self._channels, self._dtype = path, channels, dtype
        self._writer: Any = None

    def add(self, places: pl.DataFrame, values: NDArray[np.floating]) -> None:
        flat = self._arrow.array(np.ascontiguousarray(values, dtype=self._dtype).ravel())
        vectors = self._arrow.FixedSizeListArray.from_arrays(flat, self._channels)
        table = places.to_arrow().append_column("embedding", vectors)
        if self._writer is None:
            self._writer = self._library.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        """Write the end of the file."""
        if self._writer is not None:
            self._writer.close()


class _Npy(EmbeddingFile):
    """The header is written again at the end, when the number of rows is known."""

    def __init__(self, file: Any, names: Any, channels: int, dtype: np.dtype[Any]):
        self._file, self._names, self._channels, self._dtype = file, names, channels, dtype
        self._rows = 0
        self._write_header()

    def add(self, places: pl.DataFrame, values: NDArray[np.floating]) -> None:
        self._file.write(np.ascontiguousarray(values, dtype=self._dtype).data)
        self._names.write(places.write_csv(include_header=not self._rows))
        self._rows += len(values)

    def close(self) -> None:
        """Write the number of rows."""
        self._file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        about = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._rows, self._channels),
        }
        np.lib.format.write_array_header_1_0(self._file, about)  # with room for more digits


class _Zarr(EmbeddingFile):
    def __init__(self, path: Path, channels: int, dtype: np.dtype[Any]):
        self._group = optional("zarr", "such a file", "embeddings").open_group(path, mode="w")
        chunks = (ROWS, channels)
        self._values = self._group.create_array(
            "embedding", shape=(0, channels), chunks=chunks, dtype=dtype, fill_value=0
        )
        self._columns: dict[str, Any] = {}

    def add(self, places: pl.DataFrame, values: NDArray[np.floating]) -> None:
        self._values.append(values.astype(self._values.dtype))
        for name, column in zip(places.columns, places.get_columns(), strict=True):
            found = (
                np.array(column.to_list(), dtype=object) if column.dtype == pl.String else column.to_numpy()
            )
            if name not in self._columns:
                kind = str if column.dtype == pl.String else found.dtype
                self._columns[name] = self._group.create_array(name, shape=(0,), chunks=(ROWS,), dtype=kind)
            self._columns[name].append(found)
