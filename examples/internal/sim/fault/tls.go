package fault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"
)

// TLS says how a server speaks.
type TLS uint8

const (
	// Plain is HTTP/1.1 without TLS.
	Plain TLS = iota
	// ValidCert is TLS with a self-signed certificate for 127.0.0.1 and localhost that [Server.CertPool] trusts.
	ValidCert
	// ExpiredCert is TLS with a certificate that [Server.CertPool] trusts and that ran out yesterday.
	ExpiredCert
)

// certificate makes a self-signed certificate and the pool that trusts it.
func certificate(mode TLS) (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("fault: key: %w", err)
	}
	until := time.Now().Add(24 * time.Hour)
	if mode == ExpiredCert {
		until = time.Now().Add(-24 * time.Hour)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "vendor simulator"},
		NotBefore:             until.Add(-30 * 24 * time.Hour),
		NotAfter:              until,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("fault: certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("fault: certificate: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool, nil
}
