from adapter.archives.signature_kinds import KINDS
from adapter.archives.signature_paths import SIGNATURE_PATHS


def test_a_signature_of_each_kind_lies_where_those_look_who_do_not_read_it() -> None:
    assert tuple(kind.path for kind in KINDS) == SIGNATURE_PATHS
