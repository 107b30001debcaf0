"""What the service takes, at most."""

from dataclasses import dataclass, fields

from fer_zoo.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """Bounds of the service; past each of them a request gets an error and the service goes on.

    The bodies in memory have at most ``(max_uploads + max_waiting) * max_bytes`` bytes.

    Args:
        max_bytes: Bytes of a request's body; more get 413.
        max_pixels: Pixels of a picture; more get 413.
        max_faces: Faces of a picture; of more the surest are given, with a warning.
        seconds: Seconds from the end of the body to the answer; longer gets 504.
        body_seconds: Seconds that a body may take to arrive; longer gets 408.
        max_uploads: Bodies that arrive at the same time; more get 503.
        max_waiting: Pictures that wait or are computed; more get 503.

    Raises:
        ConfigError: If one is not above 0.

    Example:
        >>> Limits(max_faces=3).max_faces
        3
    """

    max_bytes: int = 10 * 2**20
    max_pixels: int = 25_000_000
    max_faces: int = 100
    seconds: float = 30.0
    body_seconds: float = 10.0
    max_uploads: int = 64
    max_waiting: int = 64

    @property
    def longest(self) -> float:
        """Seconds that a request may take, from the first byte of its body to the answer."""
        return self.body_seconds + self.seconds

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            kinds = (int,) if isinstance(field.default, int) else (int, float)
            if type(value) not in kinds or not 0 < value < float("inf"):
                flag = field.name.replace("_", "-")
                kind = "a whole number from 1" if kinds == (int,) else "a number above 0"
                raise ConfigError(f"{field.name} is {value!r} (--{flag}); it must be {kind}")
