"""All that is looked at, in the order in which it matters: what is wrong first explains what comes after."""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from adapter.doctor import configuration, installation, machine, server
from adapter.doctor.finding import Check, Finding, Scene, Severity, wrong
from adapter.installed_versions import installed_versions

CHECKS: Sequence[Check] = (
    installation.check_packages,
    installation.check_java,
    machine.check_clock,
    machine.check_disks,
    machine.check_libraries_can_be_loaded,
    machine.check_memory,
    machine.check_files,
    machine.check_compiler,
    machine.check_threads,
    configuration.check_settings,
    configuration.check_keys,
    configuration.check_tls,
    configuration.check_gateway_port,
    configuration.check_torchserve,
    configuration.check_redis,
    server.check_run_directory,
    server.check_versions,
    server.check_changes,
    server.check_gateway,
    server.check_compilations,
    server.check_logs,
)


_REMEDY = "Run torchbridge doctor as the user that runs the server, or mend the file."


class Examination(BaseModel):
    facts: dict[str, str] = Field(description="What was found of the machine, in words, by its name.")
    versions: dict[str, str] = Field(description="The version of each package that matters, by its name.")
    checks: int = Field(description="The number of checks that were made.")
    findings: list[Finding] = Field(description="What is wrong, or could be better.")

    @property
    def is_well(self) -> bool:
        return all(finding.severity is not Severity.WRONG for finding in self.findings)


def examine(scene: Scene, checks: Sequence[Check] = CHECKS) -> Examination:
    findings = [finding for check in checks for finding in _made(check, scene)]
    return Examination(facts=machine.facts(scene), versions=installed_versions(), checks=len(checks), findings=findings)


def _made(check: Check, scene: Scene) -> list[Finding]:
    """The findings of one check. A check that fails is a finding, too, so that the others are still made."""
    try:
        return list(check(scene))
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename is not None else str(error)
        return [wrong(f"{what}.", _REMEDY)]
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        what = f"{check.__name__} itself failed: {type(error).__name__}: {error}"
        return [wrong(what, "Report it: it is a fault of torchbridge doctor.")]
