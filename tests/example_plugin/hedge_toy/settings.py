"""``[venues.toy]``: where it is, and how patient we are."""

from hedge.transport import JsonSettings


class ToySettings(JsonSettings):
    """Strict: an unknown key is an error."""

    url: str = "https://toy.example"
