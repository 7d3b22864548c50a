"""Values of operators: none, one of everything, and what excludes the other."""

from tests.deploy.helm import Values

MODELS: Values = {
    "archives": {"volume": {"persistentVolumeClaim": {"claimName": "models", "readOnly": True}}},
    "models": {
        "tiny": {"default": "1.0", "versions": {"1.0": {"archive": "/models/tiny-1.0.mar", "workers": 1}}},
        "ours": {"default": "2.0", "versions": {"2.0": {"archive": "/models/ours-2.0.mar"}}},
    },
    "defaultModel": "ours",
}

EVERYTHING: Values = MODELS | {
    "image": {
        "repository": "registry.example.com/team/torchbridge",
        "digest": f"sha256:{'0' * 64}",
        "pullSecrets": ["r"],
    },
    "key": {"secretName": "release-key"},
    "apiKeys": {"secretName": "callers"},
    "operatorKeys": {"secretName": "operators"},
    "allowedHosts": ["llm.example.com"],
    "redis": {"secretName": "shared"},
    "tls": {"secretName": "certificate"},
    "trustedProxies": ["10.1.0.0/16", "2001:db8::/32"],
    "compile": False,
    "settings": {"RATE_LIMIT": "60/minute", "MAX_BODY_BYTES": 1_048_576, "ENGINE_FIRST": False},
    "shutdown": {"delaySeconds": 15, "graceSeconds": 300},
    "startup": {"prepareSeconds": 600, "loadSeconds": 1_200},
    "autoscaling": {"kind": "HorizontalPodAutoscaler", "maxReplicas": 20},
    "networkPolicy": {
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
        "egress": [{"ports": [{"port": 443, "protocol": "TCP"}]}],
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "serviceAccount": {"annotations": {"example.com/role": "reader"}},
    "podAnnotations": {"example.com/owner": "team"},
    "podLabels": {"example.com/tier": "models"},
    "priorityClassName": "serving",
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "models", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "spreadOverHosts": "DoNotSchedule",
    "extraVolumes": [{"name": "certificates", "configMap": {"name": "certificates"}}],
    "extraVolumeMounts": [{"name": "certificates", "mountPath": "/certificates", "readOnly": True}],
}

KEDA: Values = {
    "model": "/models/tiny-1.0.mar",
    "archives": {"volume": {"image": {"reference": "registry.example.com/models:1.0", "pullPolicy": "IfNotPresent"}}},
    "autoscaling": {"kind": "ScaledObject"},
    "service": {"type": "LoadBalancer", "port": 80, "annotations": {"example.com/internal": "true"}},
    "podDisruptionBudget": {"enabled": False},
    "networkPolicy": {"enabled": False},
}

ROLLOUT: Values = EVERYTHING | {
    "rollout": {"enabled": True, "verdictOf": "ours", "steps": [{"setWeight": 50}, {"pause": {"duration": "10m"}}]},
    "autoscaling": {"kind": "ScaledObject"},
}
DASHBOARDS: Values = {"dashboards": {"enabled": True}}

VALUE_SETS: dict[str, Values] = {
    "defaults": {},
    "models": MODELS,
    "everything": EVERYTHING,
    "keda": KEDA,
    "rollout": ROLLOUT,
    "dashboards": DASHBOARDS,
}
