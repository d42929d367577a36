"""Reads the DT_NEEDED entries of an ELF file: the shared libraries that the loader must find for it."""

import struct

_DYNAMIC, _LOAD = 2, 1  # program header types
_DT_NULL, _DT_NEEDED, _DT_STRTAB = 0, 1, 5


def is_elf(data: bytes) -> bool:
    """True for a 64-bit little-endian ELF file (all that x86_64 has)."""
    return data[:6] == b"\x7fELF\x02\x01"


def needed(data: bytes) -> list[str]:
    """The sonames that the ELF file `data` asks for, in its own order; none for a static or a cut one."""
    try:
        return _needed(data)
    except (struct.error, IndexError, ValueError):
        return []


def _needed(data: bytes) -> list[str]:
    offset, size, count = _program_headers(data)
    loads: list[tuple[int, int, int]] = []  # (address, offset in the file, size in the file)
    dynamic: tuple[int, int] | None = None
    for index in range(count):
        kind, _, at, address, _, length = struct.unpack_from("<IIQQQQ", data, offset + index * size)
        if kind == _LOAD:
            loads.append((address, at, length))
        elif kind == _DYNAMIC:
            dynamic = (at, length)
    if dynamic is None:
        return []
    names: list[int] = []
    strings = 0
    for at in range(dynamic[0], dynamic[0] + dynamic[1], 16):
        tag, value = struct.unpack_from("<QQ", data, at)
        if tag == _DT_NULL:
            break
        if tag == _DT_NEEDED:
            names.append(value)
        elif tag == _DT_STRTAB:
            strings = next(value - address + start for address, start, length in loads if 0 <= value - address < length)
    return [data[strings + name : data.index(b"\0", strings + name)].decode() for name in names]


def _program_headers(data: bytes) -> tuple[int, int, int]:
    """(offset, size of one, how many)"""
    (offset,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    return offset, size, count
