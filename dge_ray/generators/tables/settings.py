"""The settings and abilities of tables that were made elsewhere."""

from typing import ClassVar

from pydantic import Field

from dge_ray.generators.abilities import Abilities
from dge_ray.generators.settings import Settings


class TablesSettings(Settings):
    abilities: ClassVar[Abilities] = Abilities(holds_rows=True)

    path: str | None = Field(None, min_length=1, description="a folder or URI with a table a member, or a bundle")
    member: int = Field(
        0, ge=0, description="which of the tables, by their sorted names; a study's members have theirs"
    )
