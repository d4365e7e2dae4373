"""What a study's members get wrong of declared estimands, learned from their generators and the study's real rows."""

from collections.abc import Callable
from dataclasses import replace

from dge_ray.distributed.session.ray_session import one_thread
from dge_ray.errors import InputError
from dge_ray.inference.debiasing import DRAWS, Shift, learn_shifts
from dge_ray.inference.estimands import Estimands
from dge_ray.seeds import Purpose, integer
from dge_ray.study.opened import OpenStudy
from dge_ray.study.refit import all_rows
from dge_ray.table.schema.table_schema import TableSchema


def member_shifts(
    study: OpenStudy, estimands: Estimands, members: int, say: Callable[[str], None]
) -> tuple[tuple[Shift, ...], ...]:
    """The shifts of each member's rows, by DRAWS rows of its generator, drawn in this process, and the rows it saw.

    Raises:
        InputError: a study with differential privacy or with constraints, a table that is not the study's any more, or
            an estimand that no shift mends.
    """
    takes = "a study without one: debiasing reads the real rows once more, and no epsilon would cover it"
    study.check_not_private("debias", takes)
    spec = study.leaving(members)
    if spec.constraints:
        raise InputError("debias", "a study with constraints", "one without: shifted rows need not meet them")
    involved = {name for identity in spec.schema.kept for name in (identity.column, *identity.of)}
    parts = study.prepared.parts
    train = parts["train"] if study.config.refit == "none" else all_rows(parts)
    shifts = []
    for k in range(members):
        one_thread()
        seed = integer(spec.seed, Purpose.POOL, member=k)
        draws = spec.load_generator(k, spec.device(k)).sample(DRAWS, seed=seed)
        shifts.append(learn_shifts(estimands, train, draws))
        for shift in shifts[-1]:
            if shift.column in involved:
                got = f"a shift of '{shift.column}', which an identity between columns names"
                raise InputError("debias", got, "a study with identities=none: shifted rows would not keep it")
        say(f"member {k}: " + ", ".join(_shift_text(*pair) for pair in zip(estimands.names, shifts[-1], strict=True)))
    return tuple(shifts)


def unshifted_orders(schema: TableSchema, shifts: tuple[tuple[Shift, ...], ...]) -> TableSchema:
    """The schema of shifted rows: an order between columns holds only where neither is shifted."""
    moved = {shift.column for own in shifts for shift in own}
    return replace(schema, orders=tuple(pair for pair in schema.orders if moved.isdisjoint(pair)))


def _shift_text(name: str, shift: Shift) -> str:
    return f"{name} shifted by {shift.by:+.4g}"
