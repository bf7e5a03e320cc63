"""The jars that give Spark 3.5 its Iceberg tables, from packages that pip installs: no Maven repository is needed.

The runtime in `snowpark-connect-deps-iceberg` lacks the copy of Jackson that Iceberg's own release contains. That copy
is made here from Spark's Jackson, by renaming its packages within the class files. So this is Iceberg's runtime with
a different version of Jackson; a production cluster uses `org.apache.iceberg:iceberg-spark-runtime-3.5_2.12`.
"""

import importlib.util
import os
import struct
import zipfile
from pathlib import Path

RUNTIME = "iceberg-spark-runtime-3.5_2.12-*.jar"
JACKSON = ("jackson-core-2.*.jar", "jackson-databind-2.*.jar", "jackson-annotations-2.*.jar")
RELOCATED = "org.apache.iceberg.shaded."
_PACKAGE = "com.fasterxml.jackson"
_RENAMED = [
    (name.encode(), (prefix + name).encode())
    for name, prefix in ((_PACKAGE, RELOCATED), (_PACKAGE.replace(".", "/"), RELOCATED.replace(".", "/")))
]
# Bytes after the tag of each kind of constant (Java virtual machine specification, section 4.4).
_CONSTANT_SIZES = {
    3: 4,
    4: 4,
    5: 8,
    6: 8,
    7: 2,
    8: 2,
    9: 4,
    10: 4,
    11: 4,
    12: 4,
    15: 3,
    16: 2,
    17: 4,
    18: 4,
    19: 2,
    20: 2,
}
_UTF8, _LONG, _DOUBLE = 1, 5, 6


def iceberg_jars(cache: Path) -> list[Path]:
    """The jars for the class path of drivers and executors.

    Args:
        cache: the folder where the relocated Jackson is kept.

    Raises:
        FileNotFoundError: the extra `spark` is not installed.
    """
    [runtime] = _package("snowpark_connect_deps_iceberg").glob(f"jars/{RUNTIME}")
    originals = [jar for pattern in JACKSON for jar in _package("pyspark").glob(f"jars/{pattern}")]
    shaded = cache / ("iceberg-shaded-" + originals[0].name)
    if not shaded.exists():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = shaded.with_suffix(f".{os.getpid()}")
        relocate(originals, unfinished)
        unfinished.replace(shaded)
    return [runtime, shaded]


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise FileNotFoundError(f"the package {name} is missing: pip install 'pixelnova[spark]'")
    return Path(found.origin).parent


def relocate(jars: list[Path], target: Path) -> None:
    """Write the classes of several jars into one, with their packages renamed."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as written:
        for jar in jars:
            with zipfile.ZipFile(jar) as read:
                for name in read.namelist():
                    # Classes for newer versions of Java repeat those of the root; service files name other providers.
                    if name.endswith(".class") and not name.startswith("META-INF/") and name != "module-info.class":
                        written.writestr(_renamed(name.encode()).decode(), relocated_class(read.read(name)))


def relocated_class(content: bytes) -> bytes:
    """A class file with the packages renamed in its constants, which hold every name that a class uses."""
    [count] = struct.unpack_from(">H", content, 8)
    parts, position, index = [content[:10]], 10, 1
    while index < count:
        tag = content[position]
        if tag == _UTF8:
            [length] = struct.unpack_from(">H", content, position + 1)
            text = _renamed(content[position + 3 : position + 3 + length])
            parts.append(struct.pack(">BH", tag, len(text)) + text)
            position += 3 + length
        else:
            size = 1 + _CONSTANT_SIZES[tag]
            parts.append(content[position : position + size])
            position += size
        index += 2 if tag in (_LONG, _DOUBLE) else 1
    return b"".join(parts) + content[position:]


def _renamed(text: bytes) -> bytes:
    for old, new in _RENAMED:
        text = text.replace(old, new)
    return text
