# coffer's configuration. Every file in this folder that ends in .hcl or .json is read; a file written for
# Vault or OpenBao works as it is. `coffer server -check -config=/etc/coffer.d` says what is wrong with it.

# All secrets in one SQLite file under this folder. Back it up while it serves: docs/how-to/backup.md.
storage "sqlite" {
  path = "/var/lib/coffer"
}

listener "tcp" {
  address = "127.0.0.1:8200"

  # Without a certificate the server listens in the clear, which is why it listens on this machine alone.
  # Give it one before others may reach it; both files must be readable by the group coffer.
  tls_disable = true
  # tls_cert_file = "/etc/coffer.d/tls/cert.pem"
  # tls_key_file  = "/etc/coffer.d/tls/key.pem"
}

# What other nodes and clients are told to call.
api_addr = "http://127.0.0.1:8200"

# The web page.
ui = true
