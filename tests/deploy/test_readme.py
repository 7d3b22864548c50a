"""What deploy/README.md says of the chart is so."""

import re
from typing import Any

import pytest
import yaml

from tests.deploy.helm import CHART, Helm
from tests.deploy.objects import only
from tests.project import PROJECT

README = (PROJECT / "deploy" / "README.md").read_text(encoding="utf-8")
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
NAMED = sorted(set(re.findall(r"`([a-z]+[A-Za-z]*\.[A-Za-z._]+)(?:: \w+)?`", README)))


def test_its_example_of_values_is_installed(helm: Helm) -> None:
    [example] = re.findall(r"```yaml\n(# ours\.yaml\n.*?)```", README, re.DOTALL)
    objects = helm.render(yaml.safe_load(example))
    assert "ours-2.0.mar" in only(objects, "ConfigMap")["data"]["models.yaml"]


def test_it_names_values() -> None:
    assert "shutdown.graceSeconds" in NAMED


@pytest.mark.parametrize("name", NAMED)
def test_a_value_that_it_names_is_there(name: str) -> None:
    found: Any = VALUES
    for part in name.split("."):
        if found == {}:  # the operator's own, as of `settings`
            return
        found = found[part]
