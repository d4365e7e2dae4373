"""generator=auto: which generators a pilot tries on a table, and what of a study's price that may be."""

from dataclasses import dataclass, replace

from dge_ray.errors import InputError
from dge_ray.stats.volume.refine import most_volumes
from dge_ray.study.config import StudyConfig
from dge_ray.study.keys.choices import AUTO, GeneratorChoice
from dge_ray.study.pilot.price import fit_price, member_price, study_price
from dge_ray.study.prepared import Prepared

MEMBERS = 2  # of each candidate
MOST_SHARE = 0.3  # of the study's planned fits, and of its predicted price
FEW_ROWS = 2_000  # regressions below try diffusion too: it takes long, and wins on small smooth ones if anywhere


@dataclass(frozen=True)
class Candidate:
    """Generators that a study's members would take in turn."""

    name: str
    generators: tuple[GeneratorChoice, ...]

    def fit(self, member: int) -> tuple[str, int]:
        """Which fit its member is: of which candidate with one generator, and which member of it."""
        choice = self.generators[member % len(self.generators)]
        return next(one.name for one in CANDIDATES if one.generators == (choice,)), member


_TREES, _NETWORK = GeneratorChoice(name="trees"), GeneratorChoice(name="autoregressive")
_BOOSTED = GeneratorChoice(name="trees", settings={"target": "boosted"})
CANDIDATES = (  # in the order in which they are tried: the last are left out where a study is small
    Candidate("autoregressive", (_NETWORK,)),
    Candidate("trees-boosted", (_BOOSTED,)),
    Candidate("mixed-boosted", (_NETWORK, _BOOSTED)),  # lists are of fits that the others have
    Candidate("trees", (_TREES,)),
    Candidate("mixed", (_NETWORK, _TREES)),
    Candidate("diffusion", (GeneratorChoice(name="diffusion"),)),
)
# Which is chosen of those that validation cannot tell apart. Two kinds whose members err apart come first: they were
# the best or near it wherever they were tried. The others stand by how far they were from the best at their worst.
PREFERRED = ("mixed-boosted", "autoregressive", "trees-boosted", "mixed", "trees", "diffusion")


@dataclass(frozen=True)
class PilotPlan:
    """What a pilot fits: `candidates` at `volume` rows a member. `planned`: fits of the study, at least; `left_out`: a
    line for each generator that is not tried.

    In CPU-seconds, as predicted where the most preferred is chosen: `seconds` of the pilot's fits that the study will
    not keep, and `price` of the study with them.
    """

    candidates: tuple[Candidate, ...]
    volume: int
    planned: int
    left_out: tuple[str, ...]
    seconds: float = 0.0
    price: float = 0.0

    @property
    def fits(self) -> tuple[tuple[str, int], ...]:
        """Each fit once: the name of a candidate with one generator, and a member. None where there is no choice."""
        return _fits(self) if len(self.candidates) > 1 else ()

    @property
    def unkept(self) -> tuple[tuple[str, int], ...]:
        """The fits that are the pilot's alone, where the most preferred candidate is chosen."""
        if not self.fits:
            return ()
        kept = {_expected(self.candidates).fit(k) for k in range(MEMBERS)}
        return tuple(fit for fit in self.fits if fit not in kept)

    @property
    def share(self) -> float:
        """What the pilot adds to the study: in fits or in predicted CPU-seconds, the larger of the two."""
        return max(len(self.unkept) / self.planned, self.seconds / self.price if self.fits else 0.0)


def is_auto(config: StudyConfig) -> bool:
    """Whether a pilot is to choose the generator.

    Raises:
        InputError: auto does not go with other keys.
    """
    if AUTO not in (name for name, _ in config.generators):
        return False
    (_, settings), *others = config.generators
    if others:
        raise InputError("generator", "auto among others", "auto alone, or the names of generators")
    for key in settings:
        raise InputError(f"generator.{key}", "a setting of auto", "none: a pilot compares generators at their defaults")
    if config.private:
        takes = "a generator's name with privacy.epsilon: a choice on the data would spend privacy that is not counted"
        raise InputError("generator", "'auto' in a private study", takes)
    if config.pretrained:
        raise InputError("generator", "'auto' with pretrained", "the name of the generator that was saved")
    return True


def plan_pilot(prepared: Prepared, members: int) -> PilotPlan:
    """The candidates of this table, as many as keep what the pilot adds within its share of a study of `members`
    members, at least: of its fits, and of its price as predicted (`price`)."""
    search = prepared.config.search
    volumes = {"optuna": search.trials, "refine": most_volumes(len(prepared.volumes))}
    searched = volumes.get(search.name, len(prepared.volumes))
    left_out: list[str] = []
    plan = _priced(PilotPlan(CANDIDATES[:1], prepared.pilot_volume, members * searched, ()), prepared, searched)
    for candidate in CANDIDATES[1:]:
        wider = _priced(replace(plan, candidates=(*plan.candidates, candidate)), prepared, searched)
        if candidate.name == "diffusion" and (prepared.n >= FEW_ROWS or prepared.task != "regression"):
            table = f"{prepared.n:,} rows to learn from" if prepared.n >= FEW_ROWS else "classes to predict"
            left_out.append(f"{candidate.name}: {table}, and it is for regressions on under {FEW_ROWS:,}")
        elif _is_mixed(candidate) and (members < MEMBERS or not set(_fits(wider)) <= set(_fits(plan))):
            left_out.append(f"{candidate.name}: not both of its generators are tried, or the study has one member")
        elif len(wider.unkept) > MOST_SHARE * plan.planned:
            left_out.append(
                f"{candidate.name}: with it the pilot would be more than {MOST_SHARE:.0%} of the {plan.planned:,} fits "
                "that the study plans; more members or ratios make room"
            )
        elif wider.seconds > MOST_SHARE * wider.price:
            left_out.append(
                f"{candidate.name}: with it the pilot would be more than {MOST_SHARE:.0%} of the study's price, "
                f"{wider.seconds:,.0f} of {wider.price:,.0f} CPU-seconds as predicted; more members or ratios make room"
            )
        else:
            plan = wider
    if len(plan.candidates) == 1:
        name = plan.candidates[0].name
        left_out.insert(0, f"a pilot: the study plans {plan.planned:,} fits, too few for one; {name} is taken")
    return replace(plan, left_out=tuple(left_out))


def _expected(candidates: tuple[Candidate, ...]) -> Candidate:
    """The most preferred."""
    return min(candidates, key=lambda one: PREFERRED.index(one.name))


def _priced(plan: PilotPlan, prepared: Prepared, searched: int) -> PilotPlan:
    """The plan with its prices. A study that raises its members as it goes is taken to end with the most."""
    label = next(arm.learner.name for arm in prepared.arms if arm.synthetic)
    members = max(plan.planned // searched, prepared.most_members)
    study = study_price(prepared, _expected(plan.candidates).generators, members, searched)
    pilot = 0.0
    for name, _ in plan.unkept:
        (choice,) = next(one.generators for one in CANDIDATES if one.name == name)
        pilot += member_price(prepared, choice) + fit_price(prepared, label, plan.volume)
    return replace(plan, seconds=pilot, price=study + pilot)


def _fits(plan: PilotPlan) -> tuple[tuple[str, int], ...]:
    return tuple(dict.fromkeys(one.fit(k) for one in plan.candidates for k in range(MEMBERS)))


def _is_mixed(candidate: Candidate) -> bool:
    return len(candidate.generators) > 1
