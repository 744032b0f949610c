// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A certificate for localhost and 127.0.0.1, signed by itself and valid for a hundred years: for tests only,
 * its key is no secret.
 *
 * @module
 */

// Source: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500
// -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1
// -addext basicConstraints=critical,CA:FALSE

/** The certificate. */
export const CERT: string = `-----BEGIN CERTIFICATE-----
MIIBmTCCAT6gAwIBAgIUL6kGcimKYjrK3xgMIzJjwtqYh0gwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTExNDgwMloYDzIxMjYxMDI4
MTE0ODAyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATjOee2sMLTyj0AdRmViBZYOBg1z5eO6Vte7nlyMnQPXX9Oy9AYJI8l
0s4fh23YXdoU0BpAOgRl6+87kRDkLIcTo2wwajAdBgNVHQ4EFgQUHx9zZiWPyxAl
4cG9y5EuPTxD3D0wHwYDVR0jBBgwFoAUHx9zZiWPyxAl4cG9y5EuPTxD3D0wGgYD
VR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMAwGA1UdEwEB/wQCMAAwCgYIKoZIzj0E
AwIDSQAwRgIhAO7i3qzIx0+pFyHKUl1Yr4N5esqwZBdXJ79+XtaZiKbbAiEAuTfM
YiTwH3P9J8eUlPs5moTHdC2m1AD+bmdu2ezty94=
-----END CERTIFICATE-----
`;

/** Its key. */
export const KEY: string = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFxLpFoKALpslx8EG
V3KW/Eax9vZMP9AmFAghCJMU/lKhRANCAATjOee2sMLTyj0AdRmViBZYOBg1z5eO
6Vte7nlyMnQPXX9Oy9AYJI8l0s4fh23YXdoU0BpAOgRl6+87kRDkLIcT
-----END PRIVATE KEY-----
`;
