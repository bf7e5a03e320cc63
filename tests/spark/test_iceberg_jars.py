"""The copy of Jackson that Iceberg's runtime lacks: packages are renamed in the constants of class files."""

import struct
import zipfile

from tests.spark.iceberg_jars import relocate, relocated_class


def text(value: str) -> bytes:
    return struct.pack(">BH", 1, len(value.encode())) + value.encode()


def class_file(*constants: bytes, count: int) -> bytes:
    return struct.pack(">IHHH", 0xCAFEBABE, 0, 52, count) + b"".join(constants) + b"code com.fasterxml.jackson"


NUMBER = struct.pack(">Bq", 5, 7)  # a long, which counts as two constants
NAME = struct.pack(">BH", 7, 1)


def test_names_are_renamed_in_the_constants_only():
    constants = (
        "com/fasterxml/jackson/core/JsonParser",
        "(Lcom/fasterxml/jackson/core/Base;)V",
        "com.fasterxml.jackson",
    )
    before = class_file(
        text(constants[0]), NUMBER, NAME, text(constants[1]), text(constants[2]), text("java/A"), count=8
    )
    shaded = "org/apache/iceberg/shaded/com/fasterxml/jackson"
    assert relocated_class(before) == class_file(
        text(f"{shaded}/core/JsonParser"),
        NUMBER,
        NAME,
        text(f"(L{shaded}/core/Base;)V"),
        text("org.apache.iceberg.shaded.com.fasterxml.jackson"),
        text("java/A"),
        count=8,
    )


def test_classes_of_several_jars_are_in_one_under_their_new_names(tmp_path):
    jars = [tmp_path / "one.jar", tmp_path / "two.jar"]
    for jar in jars:
        with zipfile.ZipFile(jar, "w") as written:
            written.writestr(f"com/fasterxml/jackson/{jar.stem}/A.class", class_file(text("java/A"), count=2))
            written.writestr("META-INF/versions/17/com/fasterxml/jackson/A.class", b"")
            written.writestr("module-info.class", b"")
    relocate(jars, tmp_path / "shaded.jar")
    with zipfile.ZipFile(tmp_path / "shaded.jar") as read:
        assert sorted(read.namelist()) == [
            f"org/apache/iceberg/shaded/com/fasterxml/jackson/{name}/A.class" for name in ("one", "two")
        ]
