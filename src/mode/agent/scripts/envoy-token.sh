# Consul writes the token into Envoy's bootstrap configuration. Envoy 1.34 and later can read it from
# a file instead, so that a new token needs no restart. Follows acl.sh in pods with such an Envoy.
# shellcheck shell=sh disable=SC2034,SC2154

# Writes the token as an Envoy secret. Envoy watches for the file to be replaced by a move.
envoy_token() {
  printf '{"resources":[{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret","name":"consul-token","generic_secret":{"secret":{"inline_string":"%s"}}}]}' \
    "$(cat "$dir/acl-token")" >"$dir/envoy-token.new" && mv "$dir/envoy-token.new" "$dir/envoy-token.json"
}

# Adds a filter with the token to the agent's cluster, which is the first. No other cluster may get
# the token.
inject_token() {
  envoy_token
  types=type.googleapis.com/envoy.extensions
  options='"@type": "'$types'.upstreams.http.v3.HttpProtocolOptions"'
  sed '1,\|'"$options"'|s|'"$options"'|&,"http_filters":[{"name":"envoy.filters.http.credential_injector","typed_config":{"@type":"'"$types"'.filters.http.credential_injector.v3.CredentialInjector","overwrite":true,"allow_request_without_credential":true,"credential":{"name":"envoy.http.injected_credentials.generic","typed_config":{"@type":"'"$types"'.http.injected_credentials.generic.v3.Generic","header":"x-consul-token","credential":{"name":"consul-token","sds_config":{"resource_api_version":"V3","path_config_source":{"path":"'"$dir"'/envoy-token.json"}}}}}}},{"name":"envoy.filters.http.upstream_codec","typed_config":{"@type":"'"$types"'.filters.http.upstream_codec.v3.UpstreamCodec"}}]|' \
    "$dir/cli.out" >"$dir/envoy-bootstrap.new" && mv "$dir/envoy-bootstrap.new" "$dir/cli.out"
}
