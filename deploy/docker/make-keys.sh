#!/bin/sh
# Makes what PF-3 needs and nobody can be asked for: the master key, once and for all, and a certificate for localhost,
# again when its end is near. For the service `keys` of docker-compose.yml: make-keys.sh <directory> <user:group>
set -eu
umask 077
directory=$1
reader=$2
renew_seconds=2592000

# Whole or not at all: written beside, then put in its place.
if [ ! -e "$directory/master.key" ]; then
  head -c 32 /dev/urandom >"$directory/master.key.new"
  sync "$directory/master.key.new"
  mv "$directory/master.key.new" "$directory/master.key"
fi
# Also of one that was brought back from its copy.
chown "$reader" "$directory/master.key"

if ! openssl x509 -in "$directory/tls.crt" -noout -checkend "$renew_seconds" >/dev/null 2>&1; then
  cat >"$directory/tls.cnf" <<'CONFIG'
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = localhost
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
CONFIG
  openssl req -x509 -config "$directory/tls.cnf" -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
    -keyout "$directory/tls.key.new" -out "$directory/tls.crt.new" 2>/dev/null
  rm "$directory/tls.cnf"
  chmod 0644 "$directory/tls.crt.new"
  chown "$reader" "$directory/tls.key.new"
  mv "$directory/tls.key.new" "$directory/tls.key"
  mv "$directory/tls.crt.new" "$directory/tls.crt"
fi
