#!/usr/bin/env bash
# What operators' scripts do, with the program called vault: keys kept by tee, unseal in a loop, exit codes, fields.
set -euo pipefail

vault status >/dev/null && exit 10
[ "$(vault status >/dev/null 2>&1; echo $?)" = 2 ]
vault operator init -status && exit 11 || [ $? = 2 ]

vault init -key-shares=5 -key-threshold=3 2>old-name | tee keys.txt >/dev/null
grep -q 'old name' old-name
[ "$(grep -c '^Unseal Key [1-5]: ' keys.txt)" = 5 ]
token=$(grep 'Initial Root Token:' keys.txt | awk '{print $4}')

vault operator init -status
for i in 1 2 3; do
    vault operator unseal "$(awk -v n="$i" '$3 == n ":" {print $4}' keys.txt)" >unseal.txt
    [ "$i" = 3 ] || grep -q "^Unseal Progress *$i/3$" unseal.txt
done
until vault status >status.txt; do sleep 0.1; done
grep -q '^Sealed *false$' status.txt

export VAULT_TOKEN=$token
vault secrets enable -path=secret -version=2 kv
echo -n s3cr3t | vault kv put secret/app password=- user=app >/dev/null
[ "$(vault kv get -field=password secret/app)" = s3cr3t ]
[ "$(vault kv get -format=json secret/app | python3 -c 'import json, sys; print(json.load(sys.stdin)["data"]["data"]["user"])')" = app ]
vault kv get secret/none >/dev/null 2>err && exit 12 || [ $? = 2 ]
grep -q 'No value found at secret/data/none' err
vault list secret/metadata | sed '1,2d' | grep -qx app

vault policy write app - <<'HCL'
path "secret/data/app" {
  capabilities = ["read"]
}
HCL
app=$(vault token create -policy=app -ttl=1h -field=token)
VAULT_TOKEN=$app vault kv get secret/app >/dev/null
VAULT_TOKEN=$app vault kv put secret/app x=1 >/dev/null 2>err && exit 13 || [ $? = 2 ]
grep -q '^Code: 403. Errors:$' err
vault token revoke "$app" | grep -q '^Success! Revoked token'

echo '{"a": "1", "b": 2}' | vault write secret/data/json data=- >/dev/null 2>&1 || true
echo '{"data": {"a": "1"}}' >doc.json
vault write secret/data/doc @doc.json >/dev/null
[ "$(vault read -format=json secret/data/doc | python3 -c 'import json, sys; print(json.load(sys.stdin)["data"]["data"]["a"])')" = 1 ]

vault login "$token" >/dev/null 2>&1
unset VAULT_TOKEN
[ "$(vault print token)" = "$token" ]
[ "$(stat -c %a ~/.vault-token)" = 600 ]
vault bogus 2>/dev/null && exit 14 || [ $? = 127 ]
vault read 2>/dev/null && exit 15 || [ $? = 1 ]
vault operator seal >/dev/null
vault status >/dev/null && exit 16 || [ $? = 2 ]
VAULT_ADDR=http://127.0.0.1:1 vault status >/dev/null 2>err && exit 17 || [ $? = 1 ]
grep -q 'connection refused' err
grep -q 'VAULT_ADDR' err
echo done
