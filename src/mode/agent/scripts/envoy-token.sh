# Consul writes the token into Envoy's bootstrap. An Envoy that can (1.34 and later) takes it from
# a file instead: a new token needs no restart. Follows acl.sh in pods with such an Envoy.
# shellcheck shell=sh disable=SC2034,SC2154

# The token as Envoy takes it: a secret in a file that it watches for a move.
envoy_token() {
  printf '{"resources":[{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret","name":"consul-token","generic_secret":{"secret":{"inline_string":"%s"}}}]}' \
    "$(cat "$dir/acl-token")" >"$dir/envoy-token.new" && mv "$dir/envoy-token.new" "$dir/envoy-token.json"
}

# The connection to the agent gets a filter that takes the token from the file. The agent's
# cluster is the first; no other one may be sent the token.
inject_token() {
  envoy_token
  types=type.googleapis.com/envoy.extensions
  options='"@type": "'$types'.upstreams.http.v3.HttpProtocolOptions"'
  sed '1,\|'"$options"'|s|'"$options"'|&,"http_filters":[{"name":"envoy.filters.http.credential_injector","typed_config":{"@type":"'"$types"'.filters.http.credential_injector.v3.CredentialInjector","overwrite":true,"allow_request_without_credential":true,"credential":{"name":"envoy.http.injected_credentials.generic","typed_config":{"@type":"'"$types"'.http.injected_credentials.generic.v3.Generic","header":"x-consul-token","credential":{"name":"consul-token","sds_config":{"resource_api_version":"V3","path_config_source":{"path":"'"$dir"'/envoy-token.json"}}}}}}},{"name":"envoy.filters.http.upstream_codec","typed_config":{"@type":"'"$types"'.filters.http.upstream_codec.v3.UpstreamCodec"}}]|' \
    "$dir/cli.out" >"$dir/envoy-bootstrap.new" && mv "$dir/envoy-bootstrap.new" "$dir/cli.out"
}
