// Package pki is `massive-passive pki`: it keeps a CA of one's own in a
// directory, makes the certificates of servers and clients with it, and puts
// them where the other commands look for them. Who may connect with them is
// not decided here: that is what package certs and the server's access do.
//
// The directory is laid out as a server's configuration directory, so that on
// the server itself nothing needs to be copied:
//
//	massive-passive-ssl-ca.cert, .key        the CA
//	massive-passive-server-ssl.cert, .key    this machine's server
//	allowed-client-cert.d/NAME.pem           each client's certificates
//	clients/NAME/                            what goes to each client's machine
//	issued/SERIAL.cert                       everything the CA signed
package pki
