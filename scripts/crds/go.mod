// Kubewarden's custom resource definitions, which the examples are checked against.
module crds

go 1.24

require github.com/kubewarden/kubewarden-controller v1.31.0
