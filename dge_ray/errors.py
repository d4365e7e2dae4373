"""The two kinds of failure a user sees: the input is at fault (exit 2), or the study failed (exit 1). A line each."""

from difflib import get_close_matches

MOST_COLUMNS = 12  # of a table's columns that an error message lists


class InputError(ValueError):
    """The input is at fault. One line: the field or column, what it got, what it takes."""

    def __init__(self, field: str, got: str, takes: str) -> None:
        self.field, self.got, self.takes = field, got, takes
        super().__init__(_unbroken(f"{field}: got {got}; takes {takes}"))

    def __reduce__(self) -> tuple:  # exceptions cross process boundaries inside Ray
        return type(self), (self.field, self.got, self.takes)


class InputErrors(ValueError):
    """Several faults in one input, a line each."""

    def __init__(self, errors: list[InputError]) -> None:
        self.errors = errors
        super().__init__("\n".join(str(error) for error in errors))

    def __reduce__(self) -> tuple:
        return type(self), (self.errors,)


def _unbroken(text: str) -> str:
    """Without line breaks, which a column's name may hold."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


class StudyError(RuntimeError):
    """A study that cannot go on, told in one line."""


class ColumnWarning(UserWarning):
    """What the owner of a table should know of one of its columns. `done`: what was done to it, None for nothing."""

    def __init__(self, text: str, column: str = "", done: str | None = None) -> None:
        self.column, self.done = column, done
        super().__init__(_unbroken(text))


def nearest(name: str, known: list[str]) -> str:
    """`known` as text for an error message, with the nearest spelling of `name` behind it when there is one."""
    close = get_close_matches(name, known, n=1)
    return "one of " + ", ".join(known) + (f" (did you mean '{close[0]}'?)" if close else "")


def nearest_column(name: str, columns: list[str]) -> str:
    """As `nearest`, for columns, of which a table may have thousands: of many the three nearest, or else the first few.

    >>> nearest_column("widht", [f"x{i}" for i in range(40)] + ["width"])
    "'width' or another of the 41 columns"
    """
    if len(columns) <= MOST_COLUMNS:
        return nearest(name, columns)
    shown = [f"'{column}'" for column in get_close_matches(name, columns, n=3) or columns[:3]]
    return f"{', '.join(shown)} or another of the {len(columns)} columns"
