from adapter.doctor.finding import Check, Finding, Scene


def found(check: Check, scene: Scene) -> Finding:
    [finding] = check(scene)
    return finding
