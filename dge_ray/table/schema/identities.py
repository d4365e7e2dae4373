"""Identities between columns: what one column is, given others, in every real row."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

Rule: TypeAlias = Literal["sum", "product", "lookup"]


@dataclass(frozen=True)
class Identity:
    """What `column` is, given the columns `of`, where none of them is missing.

    rule: `sum`, the constant and each of `of` times its factor; `product`, the constant times each of `of` to the power
    of its factor, 1 or -1; `lookup`, a value for each category of the one column `of`. Sums and products are rounded to
    the column's precision.
    values: of a lookup, by category, and last where `of` is missing: a code of a coded column, else a number; None is
    missing. Empty where it is not told, in bundles: then the identity is known and not computed.
    modelled: the column is drawn like others and then put right: it is the target, or its missing values are not those
    of `of`. Otherwise it is not modelled, and missing where one of `of` is.
    """

    column: str
    rule: Rule
    of: tuple[str, ...]
    factors: tuple[float, ...] = ()
    constant: float = 0.0
    values: tuple[float | None, ...] = ()
    modelled: bool = False

    @property
    def computable(self) -> bool:
        return self.rule != "lookup" or bool(self.values)

    def to_json(self) -> dict[str, Any]:
        facts = {"column": self.column, "rule": self.rule, "of": list(self.of), "modelled": self.modelled}
        if self.rule == "lookup":
            return {**facts, "values": list(self.values)}
        return {**facts, "factors": list(self.factors), "constant": self.constant}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Identity":
        lists = {name: tuple(raw[name]) for name in ("of", "factors", "values") if name in raw}
        return cls(**{**raw, **lists})

    def untold(self) -> "Identity":
        """The identity without what is told of single categories."""
        return replace(self, values=())


def in_words(identity: Identity) -> str:
    """An identity as people write it.

    >>> in_words(Identity("total", "sum", ("a", "b"), (1.0, 1.0))), in_words(Identity("y", "lookup", ("zip",)))
    ("'total' = 'a' + 'b'", "'y' is told by 'zip'")
    >>> in_words(Identity("f", "sum", ("c",), (1.8,), 32.0))
    "'f' = 1.8 'c' + 32"
    >>> in_words(Identity("rate", "product", ("n", "m"), (1, -1), 100.0))
    "'rate' = 100 'n' / 'm'"
    """
    names = [f"'{name}'" for name in identity.of]
    if identity.rule == "lookup":
        return f"'{identity.column}' is told by {names[0]}"
    if identity.rule == "product":
        over = [name for name, power in zip(names, identity.factors, strict=True) if power < 0]
        upper = [name for name, power in zip(names, identity.factors, strict=True) if power > 0]
        scale = "" if identity.constant == 1 and upper else f"{identity.constant:.6g} "
        return f"'{identity.column}' = {' / '.join([scale + ' x '.join(upper), *over])}"
    text = ""
    for name, factor in zip(names, identity.factors, strict=True):
        text += (" - " if factor < 0 else " + ") if text else ("-" if factor < 0 else "")
        text += name if abs(factor) == 1 else f"{abs(factor):.6g} {name}"
    if identity.constant:
        text += f" {'-' if identity.constant < 0 else '+'} {abs(identity.constant):.6g}"
    return f"'{identity.column}' = {text}"


def order_in_words(order: tuple[str, str]) -> str:
    """An order of two columns as people write it.

    >>> order_in_words(("end", "start"))
    "'end' >= 'start'"
    """
    return f"'{order[0]}' >= '{order[1]}'"


def order_faults(orders: Sequence[tuple[str, str]], measured: Collection[str]) -> list[str]:
    """What is wrong with orders that somebody else wrote, a line a fault. measured: the measured columns."""
    for order in orders:
        unknown = [name for name in order if name not in measured]
        if unknown:
            return [f"order {order_in_words(order)}: {unknown[0]!r}, which is no measured column"]
    left = set(orders)
    while left:  # take away those whose lesser column has none below it, until there are none, or a circle is left
        above = {a for a, _ in left}
        ends = {(a, b) for a, b in left if b not in above}
        if not ends:
            return ["orders that go round in a circle"]
        left -= ends
    return []


def in_order(identities: Sequence[Identity]) -> list[Identity]:
    """Those that can be computed one after another, each after all of its `of`: of two for one column the first, and
    none that closes a circle."""
    kept: dict[str, Identity] = {}

    def reaches(start: str, end: str) -> bool:
        return start == end or (start in kept and any(reaches(name, end) for name in kept[start].of))

    for identity in identities:
        if identity.column not in kept and not any(reaches(name, identity.column) for name in identity.of):
            kept[identity.column] = identity
    ordered: dict[str, Identity] = {}

    def put(identity: Identity) -> None:
        for name in identity.of:
            if name in kept and name not in ordered:
                put(kept[name])
        ordered.setdefault(identity.column, identity)

    for identity in kept.values():
        put(identity)
    return list(ordered.values())


def identity_faults(
    identities: Sequence[Identity], measured: Collection[str], coded: Mapping[str, int], target: str | None
) -> list[str]:
    """What is wrong with identities that somebody else wrote, a line a fault.

    measured: the measured columns. coded: the coded ones' numbers of categories.
    """
    faults = []
    for identity in identities:
        if fault := _fault(identity, measured, coded, target):
            faults.append(f"identity of {identity.column!r}: {fault}")
    if not faults and len(in_order(identities)) < len(identities):
        faults.append("identities of which one needs the other")
    return faults


def _fault(identity: Identity, measured: Collection[str], coded: Mapping[str, int], target: str | None) -> str | None:
    if identity.rule not in get_args(Rule) or type(identity.modelled) is not bool or not identity.of:
        return f"rule {identity.rule!r} of {len(identity.of)} columns, modelled {identity.modelled!r}"
    if not all(isinstance(name, str) for name in (identity.column, *identity.of)):
        return "names that are no texts"
    if identity.column == target and not identity.modelled:
        return "the target, which is modelled"
    numbers = [*identity.factors, identity.constant, *(value for value in identity.values if value is not None)]
    if not all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in numbers):
        return "values that are no finite numbers"
    if identity.rule == "lookup":
        if len(identity.of) != 1 or identity.of[0] not in coded:
            return "a lookup of other than one coded column"
        if identity.column not in coded and identity.column not in measured:
            return "no such coded or measured column"
        if identity.values and len(identity.values) != coded[identity.of[0]] + 1:
            return f"{len(identity.values)} values for {coded[identity.of[0]]} categories and missing"
        most = coded.get(identity.column)
        codes = [value for value in identity.values if value is not None]
        if most is not None and not all(value == int(value) and 0 <= value < most for value in codes):
            return "values that are no codes of its categories"
        return None
    unknown = [name for name in (identity.column, *identity.of) if name not in measured]
    if unknown:
        return f"{unknown[0]!r}, which is no measured column"
    if len(identity.factors) != len(identity.of) or 0 in identity.factors:
        return f"{len(identity.factors)} factors for {len(identity.of)} columns, or one of 0"
    if identity.rule == "product" and (set(identity.factors) - {1, -1} or not identity.constant):
        return "a product with powers other than 1 and -1, or without a constant"
    return None
