"""Values in the form in which Go prints them after reading them into a struct."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from msgspec import Raw

from proxy.backend.kinds.notation import TYPES, Field, Holds

Json = dict[str, object]
# What `omitempty` leaves out, where it isn't behind a pointer.
EMPTY: tuple[object, ...] = ("", 0, False, [], {})
GO_TYPES = {
    "": "string", "int": "int32", "bool": "bool", "bytes": "uint8", "Time": "v1.Time", "MicroTime": "v1.MicroTime",
    "Quantity": "resource.Quantity", "IntOrString": "intstr.IntOrString", "Fields": "v1.FieldsV1",
}  # fmt: skip
ZEROES: dict[str, object] = {"": "", "int": 0, "bool": False, "Quantity": "0", "IntOrString": 0}


class MismatchError(ValueError):
    """A value that doesn't fit its field; the text is Go's."""


@dataclass(slots=True)
class Reader:
    """One reading of an object; `unknown` are the paths of fields that its type doesn't have.

    A sparse one adds nothing and keeps zero values: it says what somebody has set, not what Go makes of it.
    """

    unknown: list[str] = field(default_factory=list)
    sparse: bool = False

    def struct(self, type_name: str, value: object, path: str = "") -> Json:
        """Return a struct with its fields in order, without what isn't known."""
        if not isinstance(value, dict):
            raise mismatch(value, f"Go value of type v1.{type_name}" if not path else f"Go struct field {path}")
        fields = TYPES[type_name].fields
        for name in value:
            if name not in fields:
                self.unknown.append(f"{path}.{name}" if path else name)
        out: Json = {}
        for name, one in fields.items():
            given = value.get(name)
            if given is None:
                if not self.sparse:
                    self.absent(one, out)
                continue
            read = self.field(type_name, one, given, f"{path}.{name}" if path else name)
            single_struct = one.is_struct and one.holds is Holds.ONE
            if self.sparse or one.pointer or one.kept or single_struct or not is_empty(read):
                out[name] = read
        return out

    def absent(self, one: Field, out: Json) -> None:
        """Add what Go prints for a field that isn't there, if it prints anything."""
        if one.holds is Holds.ONE and not one.pointer and (one.is_struct or one.type in {"Quantity", "IntOrString"}):
            out[one.name] = Reader().struct(one.type, {}) if one.is_struct else ZEROES[one.type]
        elif one.kept:
            single = one.holds is Holds.ONE and not one.pointer
            out[one.name] = ZEROES.get(one.type) if single else None

    def field(self, owner: str, one: Field, value: object, path: str) -> object:
        """Return the value of a field."""
        place = f"Go struct field {owner}.{path}"
        if one.holds is Holds.LIST:
            if not isinstance(value, list):
                raise mismatch(value, f"{place} of type []{go_type(one)}")
            return [self.one(one, item, f"{path}[{number}]", place) for number, item in enumerate(value)]
        if one.holds is Holds.MAP:
            if not isinstance(value, dict):
                raise mismatch(value, f"{place} of type map[string]{go_type(one)}")
            return {key: self.one(one, item, f"{path}.{key}", place) for key, item in sorted(value.items())}
        return self.one(one, value, path, place)

    def one(self, one: Field, value: object, path: str, place: str) -> object:
        """Return a single value."""
        if one.is_struct:
            if value is not None and not isinstance(value, dict):
                raise mismatch(value, f"{place} of type {go_type(one)}")
            return self.struct(one.type, {} if value is None else value, path)
        if value is None and one.holds is not Holds.ONE:
            return ZEROES.get(one.type, "")
        found = scalar(one.type, value)
        if found is None:
            raise mismatch(value, f"{place} of type {go_type(one)}")
        return found


def scalar(kind: str, value: object) -> object | None:
    """Return a scalar in its field's form, or nothing where it has another one."""
    if kind == "bool":
        return value if isinstance(value, bool) else None
    if kind == "int":
        return integer(value)
    if kind == "IntOrString":
        return value if isinstance(value, str) else integer(value)
    if kind == "Quantity" and not isinstance(value, str):
        number = integer(value)
        return bytes(value).decode() if isinstance(value, Raw) else None if number is None else str(number)
    if kind == "Fields":
        return value if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def integer(value: object) -> int | None:
    """Return a whole number, however it was written."""
    if isinstance(value, Raw):
        text = bytes(value).decode()
        return int(text) if text.lstrip("-").isdigit() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def is_empty(value: object) -> bool:
    """Whether `omitempty` leaves a value out."""
    return isinstance(value, str | int | list | dict) and not value


def go_type(one: Field) -> str:
    """Return the name of a field's type in Go."""
    return GO_TYPES.get(one.type) or f"v1.{one.type}"


def mismatch(value: object, place: str) -> MismatchError:
    """Return the error of Go's decoder."""
    names = {bool: "bool", str: "string", int: "number", Raw: "number", list: "array", dict: "object"}
    return MismatchError(f"json: cannot unmarshal {names.get(type(value), 'null')} into {place}")


def ordered(type_name: str, value: Json) -> Json:
    """Return a struct in its canonical form."""
    return Reader().struct(type_name, value)


def members(value: object) -> Json:
    """Return an object's members; nothing has none."""
    return cast("Json", value) if isinstance(value, dict) else {}
