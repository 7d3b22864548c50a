"""Why a version was not changed. What TorchServe or the gateway refuses is one of adapter.errors.

VersionError
├── ServerNotRunning   no `torchbridge serve` runs in this directory
├── ServerBusy         another command is changing the same server
├── ChangeRefused      what was asked for makes no sense here: nothing was begun
├── LoadFailed         a worker of the version cannot load its model
└── DrainTimeout       requests still run on the version that was to go
"""


class VersionError(RuntimeError):
    """The message says what is wrong and what to do."""


class ServerNotRunning(VersionError): ...


class ServerBusy(VersionError): ...


class ChangeRefused(VersionError): ...


class LoadFailed(VersionError): ...


class DrainTimeout(VersionError): ...
