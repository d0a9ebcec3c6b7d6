"""Check the arguments of a component against its signature."""

import inspect
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from numbers import Integral
from typing import Annotated, Any, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model
from typing_extensions import get_type_hints, is_typeddict

from gcahng.errors import did_you_mean, explain

# Numbers within limits, for signatures and sections of settings.
AtLeast0 = Annotated[int, Field(ge=0)]
AtLeast1 = Annotated[int, Field(ge=1)]
AtLeast2 = Annotated[int, Field(ge=2)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_STRICT = ConfigDict(strict=True, extra="forbid")
_PLAIN = str | int | float | tuple | dict
_MISSING = inspect.Parameter.empty
# What an argument takes that has no annotation, by the type of its default.
_UNANNOTATED = {bool: bool, int: int | float, float: float}


class Argument(NamedTuple):
    """An argument of a component: `...` is a default that is not known, `empty` stands for none."""

    kind: Any
    default: Any
    positional: bool


def is_integer(value: object, least: int) -> bool:
    """Whether a value is an integer, of Python or NumPy, of at least `least`."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def check_weights(**weights: float) -> None:
    """Raise a ValueError unless every argument is a finite number of at least 0."""
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ValueError(f"Expected {name!r} as a number of at least 0 (got {weight!r})")


def check_positive(**values: float) -> None:
    """Raise a ValueError unless every argument is a finite number above 0."""
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"Expected {name!r} > 0 (got {value!r})")


def check_forward(module: Any, expected: str, *given: Any, **named: Any) -> None:
    """Raise a ValueError unless the forward of a module, as expected, takes some arguments."""
    signature = inspect.signature(module.forward)
    try:
        signature.bind(*given, **named)
    except TypeError as error:
        raise ValueError(f"Expected {expected} (got forward{signature})") from error


def arguments_of(make: Callable[..., Any]) -> tuple[dict[str, Argument], bool]:
    """Return the named arguments of a class or function, and whether it takes any others.

    `**settings` of a constructor are the keys of a TypedDict, if annotated as `Unpack[...]`, else
    the arguments of its base class.
    """
    found: dict[str, Argument] = {}
    takes_others, takes_more = False, True
    for inherited, part in enumerate(_constructors(make)):
        hints, passes_others = _hints(part), False
        for name, parameter in inspect.signature(part).parameters.items():
            unpacked = [one for one in get_args(hints.get(name)) if is_typeddict(one)]
            if parameter.kind is parameter.VAR_KEYWORD and unpacked:
                kinds = get_type_hints(unpacked[0], include_extras=True) if takes_more else {}
                for key, kind in kinds.items():
                    found.setdefault(key, Argument(kind, ..., False))
            elif parameter.kind is parameter.VAR_KEYWORD:
                passes_others = True
            elif parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                by_position = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
                # What a base class needs may be given by the class itself.
                default = parameter.default
                if inherited and default is _MISSING:
                    default = ...
                kind = hints.get(name, Any)
                if parameter.annotation is _MISSING:
                    kind = _UNANNOTATED.get(type(parameter.default), Any)
                if takes_more:
                    found.setdefault(name, Argument(kind, default, by_position))
                if name in found and found[name].default is ...:
                    found[name] = found[name]._replace(default=default)
        # Bases beyond this one only tell the defaults of what is passed on to them.
        takes_others = takes_more = takes_more and passes_others
    return found, takes_others


def check_names(what: str, given: Iterable[str], takes: Iterable[str]) -> None:
    """Raise a ValueError for the first given name that is none of those taken."""
    takes = list(takes)
    for name in given:
        if name not in takes:
            listed = ", ".join(takes) or "no arguments"
            raise ValueError(
                f"{what} takes no {name!r}{did_you_mean(name, takes)}; it takes {listed}"
            )


def _constructors(make: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Yield a function, or the constructors of a class and of its bases, up to torch's own."""
    if not isinstance(make, type):
        yield make
        return
    for part in make.__mro__:
        if part is object or part.__module__ == "torch.nn.modules.module":
            return
        if "__init__" in vars(part):
            # Bound, so that it has no `self`.
            yield vars(part)["__init__"].__get__(object())


def _hints(make: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a function; none if they cannot be resolved."""
    while isinstance(make, partial):
        make = make.func
    if isinstance(make, type):
        make = vars(make).get("__init__", make)
    try:
        hints = get_type_hints(make, include_extras=True)
        hash(tuple(hints.values()))  # annotations that `_model` cannot keep are none
    except (NameError, TypeError, AttributeError):
        return {}
    return hints


def checked_arguments(
    component: str,
    make: Callable[..., Any],
    given: Mapping[str, Any],
    positional: int = 0,
    place: str = "",
    filled: Collection[str] = (),
) -> dict[str, Any]:
    """Return the named arguments of a component, as its annotations have them.

    A list becomes a tuple, and text a path, where the annotation asks for it. A ValueError has a
    line for each that is unknown, missing or of another type.

    Args:
        component: What to call it in messages, such as "generator 'hdml'".
        make: Its class or function.
        given: The arguments.
        positional: How many others it gets before them by their position.
        place: The setting that holds the arguments, such as `generator.args`; by default none.
        filled: Names of arguments that it gets otherwise.
    """
    takes, takes_others = arguments_of(make)
    by_position = [name for name, argument in takes.items() if argument.positional][:positional]
    takes = {name: one for name, one in takes.items() if name not in (*by_position, *filled)}
    named = f"{place}: {component}" if place else component
    if not takes_others:
        check_names(named, given, takes)
    mistakes = [
        f"{named} needs {name!r}"
        for name, argument in takes.items()
        if argument.default is _MISSING and name not in given
    ]
    outer, who = ((place,), "") if place else ((), f"{component}: ")
    checked = dict(given)
    for name in [name for name in given if name in takes]:
        kind, default, _ = takes[name]
        if given[name] is None and default is None:
            continue
        model = _model(name, kind)
        try:
            checked[name] = _validated(model, name, given[name])
        except ValidationError as error:
            mistakes.append(explain(error, model, {name: given[name]}, lambda _: who, outer))
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return checked


@lru_cache(maxsize=1000)
def _model(name: str, kind: Any) -> type[BaseModel]:
    field = Field(alias=name)
    try:
        return create_model("Argument", __config__=_STRICT, value=(kind, field))
    except PydanticUserError:  # a type that pydantic does not know
        return create_model("Argument", value=(Any, field))


def _validated(model: Any, name: str, value: Any) -> Any:
    try:
        # As JSON, because YAML too has no tuples, sets or paths.
        return model.model_validate_json(json.dumps({name: value})).value
    except (TypeError, RecursionError):  # an object of Python
        return model.model_validate({name: value}).value


def arguments_schema(make: Callable[..., Any], given: Collection[str] = ()) -> dict[str, Any]:
    """Return the JSON schema of a component's arguments, without those that others give it."""
    takes, takes_others = arguments_of(make)
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for name, argument in takes.items():
        if name in given:
            continue
        kind = argument.kind if argument.default is not None else argument.kind | None
        try:
            schema = _model(name, kind).model_json_schema()
        except PydanticUserError:  # a class, which no file can hold
            schema = {"properties": {name: {}}}
        definitions |= schema.get("$defs", {})
        properties |= schema["properties"]
        default = argument.default
        if default is None or isinstance(default, _PLAIN):
            default = list(default) if isinstance(default, tuple) else default
            properties[name] = {**properties[name], "default": default}
    closed = {} if takes_others else {"additionalProperties": False}
    return {"type": "object", "properties": properties, **closed, "$defs": definitions}
