package certs

// Where server, client and send look for their files unless an option says
// otherwise, and where the pki command puts them.
const (
	DefaultDir = "/etc/massive-passive"

	CACertName     = "massive-passive-ssl-ca.cert"
	ServerCertName = "massive-passive-server-ssl.cert"
	ServerKeyName  = "massive-passive-server-ssl.key"
	ClientCertName = "massive-passive-client-ssl.cert"
	ClientKeyName  = "massive-passive-client-ssl.key"
	CAKeyName      = "massive-passive-ssl-ca.key" // who has it can make certificates
	AllowedDirName = "allowed-client-cert.d"      // one NAME.pem for each client

	DefaultCACert     = DefaultDir + "/" + CACertName
	DefaultServerCert = DefaultDir + "/" + ServerCertName
	DefaultServerKey  = DefaultDir + "/" + ServerKeyName
	DefaultClientCert = DefaultDir + "/" + ClientCertName
	DefaultClientKey  = DefaultDir + "/" + ClientKeyName
	DefaultAllowedDir = DefaultDir + "/" + AllowedDirName
)
