import re

from adapter.command_line.json_fields import json_fields
from adapter.documents.command_page import JSON_OUTPUTS, PAGE, each_command, with_commands

FRAGMENT = re.compile(r"(As|By|For|From|Of|Since|That|Which|Whose|With) ")


def test_the_page_of_commands_is_what_their_help_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_commands(page) == page, "run `make generate`"


def test_a_stale_page_is_made_anew() -> None:
    page = PAGE.read_text(encoding="utf-8")
    stale = page.replace("### retire\n", "### withdraw\n")
    assert stale != page
    assert with_commands(stale) == page


def test_each_argument_has_a_name_there() -> None:
    assert "| `None` |" not in PAGE.read_text(encoding="utf-8")


def test_each_field_of_a_json_output_is_described_by_a_phrase() -> None:
    fields = {
        f"{command}: {name}": description
        for command, output in JSON_OUTPUTS.items()
        for name, _, description in json_fields(output.json_schema(mode="serialization"))
    }
    assert [name for name, description in fields.items() if not description.endswith(".")] == []
    assert [name for name, description in fields.items() if FRAGMENT.match(description)] == []


def test_each_json_output_has_its_fields_there() -> None:
    with_json = {name for _, name, command in each_command() for each in command.params if "--json" in each.opts}
    assert with_json == set(JSON_OUTPUTS)
