#!/usr/bin/env bats
# A rolling update under load. It wants the machine for itself.

load ../../lib/helpers
load ../../lib/load

rolling_server() {
    k apply -f - <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: rolling}
spec:
  replicas: 3
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector: {matchLabels: {app: rolling}}
  template:
    metadata:
      labels: {app: rolling}
      annotations:
        consul.hashicorp.com/connect-inject: "true"
        consul.hashicorp.com/connect-service-protocol: http
    spec:
      containers:
        - name: rolling
          image: hashicorp/http-echo:latest
          args: ["-text=I am $1", "-listen=:8080"]
          ports: [{containerPort: 8080, name: web}]
          readinessProbe: {httpGet: {path: /, port: web}, periodSeconds: 1}
          lifecycle: {preStop: {sleep: {seconds: 3}}}
END
}

@test "rolling-update: under load, http with connections kept alive and with one a request, nothing is lost" {
    rolling_server old
    k rollout status deployment/rolling --timeout=120s
    client rolling-client rolling:1234
    ready rolling-client
    eventually 60 answers rolling-client http://127.0.0.1:1234/ "I am old"
    eventually 60 routable rolling 3

    under_load rolling-client http://127.0.0.1:1234/ update
    eventually 60 answers rolling-client http://127.0.0.1:1234/ "I am new"
}
update() {
    rolling_server new
    k rollout status deployment/rolling --timeout=120s
}
