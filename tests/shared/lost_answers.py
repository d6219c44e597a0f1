"""A store that writes and whose answer gets lost on its way: the client asks again, and is told that the object is there."""

from shoploop.store import Store


def lose_answers(patch) -> None:
    """Of everything that is written with put-if-absent from now on."""
    put = Store.put_if_absent

    def asked_twice(self, key, data):
        put(self, key, data)
        put(self, key, data)

    patch.setattr(Store, "put_if_absent", asked_twice)
