/* keys: made for the tests of tokens; they serve nothing else. */
#ifndef TESTS_UNIT_KEYS_H
#define TESTS_UNIT_KEYS_H

static const char rsa_private[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDEdb9QnnAJjLdt\n"
    "FsZYiG9L5VbgPyGLP6COwT43TKF/JoSPK1iOP40BX0lbNRh6Vf7VupweqG6iAbf8\n"
    "y4UW5AYJzPuhmI8Rrcom8OPdWa58mGvyLEtvm2N7x13cOKQEUXCpcGTeZ1GrHwud\n"
    "YZyi00ukVODuJHieUes8bNcXFRRI9qIsT1J3zxMEAq+OEUUqD2D0i3kheJn5ebV/\n"
    "M53kOCv9rS99p0gjqp4mbDmoDvrcQRdP1p6EmRhOpTM/OLN8MLuwrVFzhYVUWKXV\n"
    "yUsShvMOWr39r2SFc4Ny5fz8ueFWP8ZbdPeaKd7pzYaEUwgpKM+0Sw3ju+gi7zIU\n"
    "wQ7qLX9XAgMBAAECggEAK5dKx2sYRe4spu5mPS+srkTpVWF8omaQTAyRrvh4Xvuf\n"
    "bxr5j7qHIXZQkwXBdCePn0HEMUNDJPxHpDZORgl7U4JhlPYCTLRoheJuVOd4wVma\n"
    "ngX5CP8MAGN4rov8zJ57ZoUzRGvdYaBGVfnaJQDIKGLS89Qw1UQs81/dC9iYAyYe\n"
    "PfJItdPmyUqHtO8HBBPeufhMQwHDomq1fVrEnJnpXcqXO6UaH5u1uxwjT8uJVEo5\n"
    "L56mvoO126cqfHs79w+4oD4vZ9qhyufy32pMIYNOp8eW+5ROzVu/He3zJqfsPZNA\n"
    "d+jUfmdn9V567ZBcCLCXAxYNcmr5hhmDB+4ocM1w0QKBgQD4+fXoTrOUjn96/xDx\n"
    "i7w951Gm0lA67uigsilxZEFsUxdKYgsFiZR+I4ojJvXFRw23YU7GK71Iw7WeVjeO\n"
    "CJVmJTOLmBmTaixf62jCiR3eMMqNZ1LKGwIXhKkxxSY1rLD+aW0gZkApcLllszfK\n"
    "qyfq+J/EopwpkngN735KpNyE0QKBgQDKAIb7Xybxoox96xr7LdCHzEFF59o0GZqd\n"
    "qxEX1YpSRoMKMCz5v+VIjKkYArvm2TUA6+bOxqbU05llHpArJDt5CWWxJzfpVOyS\n"
    "9xx0b3iNmzue3ptOAhJ8/I7LpYR2O1oW0iJhrYvQ8L1L0NQWt3+gdWhBXjMelpvc\n"
    "y1vPz7frpwKBgQDdxJAUD14H2fGVFfL6pBPVM+DX7gdGpx0QXgFqHfnkShK5z6Cv\n"
    "mv9oZ7GYZBCQWxzNleA7xiQA10pDsdokKmMgq8xA8Ab/9pd2DNKwTMAM9HrG/xyQ\n"
    "JwRy/FhUm53QO3Uf97obHNjT0LNi8gKlBFU3B6QP2yOsJ+nFx+g/Bp/hsQKBgB3c\n"
    "ZhfSwRcHSG10y9BFvYXVk/CZjZAWGN0l5Kj5UDFJayWeaYeh7msDIBwEi3JcuZEh\n"
    "TkVS6GadwRdJpVY7TO9fjEDb41AC1dYD4Zj0wYVtZSrfDWZCuCjxzMod9a7kpzSo\n"
    "a5y04u5IKDOE81VIWv2FXZwMKNJkwTWqejAGLNIRAoGAHSmEq7n0r31cJqiC5g+4\n"
    "2lws1gempubtAQegXpwNoe9SRKHhTCmtJIOR98ykuqIb1kTANNxB/3Z8QVgPBioy\n"
    "qm6DWCStbsQlGBDOnD9QAqeSLJDi9bcY4xAC/qCYWAnCQA5TeVyuUdM8dr/eIeHr\n"
    "YmoHEdhJE3frOMxemNGCj/M=\n"
    "-----END PRIVATE KEY-----\n";

static const char rsa_public[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAxHW/UJ5wCYy3bRbGWIhv\n"
    "S+VW4D8hiz+gjsE+N0yhfyaEjytYjj+NAV9JWzUYelX+1bqcHqhuogG3/MuFFuQG\n"
    "Ccz7oZiPEa3KJvDj3VmufJhr8ixLb5tje8dd3DikBFFwqXBk3mdRqx8LnWGcotNL\n"
    "pFTg7iR4nlHrPGzXFxUUSPaiLE9Sd88TBAKvjhFFKg9g9It5IXiZ+Xm1fzOd5Dgr\n"
    "/a0vfadII6qeJmw5qA763EEXT9aehJkYTqUzPzizfDC7sK1Rc4WFVFil1clLEobz\n"
    "Dlq9/a9khXODcuX8/LnhVj/GW3T3mine6c2GhFMIKSjPtEsN47voIu8yFMEO6i1/\n"
    "VwIDAQAB\n"
    "-----END PUBLIC KEY-----\n";

static const char ec_private[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOhFqdMNb0JpkZLrX\n"
    "HgI2k1IsEG6RQWjox1cXOWo4G5uhRANCAAQYBcxqOC8q5fCAqoeuOtG44xCV6+wb\n"
    "l2+Ahxy3EUxhYAy0VpdIGbwYVaz5DrZLbgfLlB0rhWIx1o6EXRtJSwuE\n"
    "-----END PRIVATE KEY-----\n";

static const char ec_public[] = "-----BEGIN PUBLIC KEY-----\n"
                                "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEGAXMajgvKuXwgKqHrjrRuOMQlevs\n"
                                "G5dvgIcctxFMYWAMtFaXSBm8GFWs+Q62S24Hy5QdK4ViMdaOhF0bSUsLhA==\n"
                                "-----END PUBLIC KEY-----\n";

static const char other_ec_private[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdbjYsfUhD9Ul3SgR\n"
    "IoFXMKnVafI1/zWIeDV6jjnkcEKhRANCAAR5SY+E+HgQbYjVjs1LYqbXg0HV1f08\n"
    "0D4TFswN9vjydGfjL+oBD6lz6bIxg2vNyw698+KY7/1FiKLQrWY2UqEC\n"
    "-----END PRIVATE KEY-----\n";

static const char secret[] = "a secret of the tests, 32 bytes or more";
static const char other_secret[] = "another secret of at least that length";

static const char ed_private[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIMTg9B1nR8hGfSgMn98ebFNeE0ZZbbM4UYYwB1PMTTb8\n"
    "-----END PRIVATE KEY-----\n";

static const char ed_public[] = "-----BEGIN PUBLIC KEY-----\n"
                                "MCowBQYDK2VwAyEAhYVu3rVpzwoe0fvooAcFX1joxYE6GFw+SebLPtOASuc=\n"
                                "-----END PUBLIC KEY-----\n";

/* The members of the public ones as JSON Web Keys. */
#define RSA_JWK                                                                                    \
    "\"kty\":\"RSA\",\"n\":\"xHW_UJ5wCYy3bRbGWIhvS-VW4D8hiz-gjsE-N0yhfyaEjytYjj-NAV9JWzUYelX-"     \
    "1bqcHqhuogG3_"                                                                                \
    "MuFFuQGCcz7oZiPEa3KJvDj3VmufJhr8ixLb5tje8dd3DikBFFwqXBk3mdRqx8LnWGcotNLpFTg7iR4nlHrPGzXFxUUS" \
    "PaiLE9Sd88TBAKvjhFFKg9g9It5IXiZ-Xm1fzOd5Dgr_"                                                 \
    "a0vfadII6qeJmw5qA763EEXT9aehJkYTqUzPzizfDC7sK1Rc4WFVFil1clLEobzDlq9_a9khXODcuX8_LnhVj_"       \
    "GW3T3mine6c2GhFMIKSjPtEsN47voIu8yFMEO6i1_Vw\",\"e\":\"AQAB\""
#define EC_JWK                                                                                     \
    "\"kty\":\"EC\",\"x\":\"GAXMajgvKuXwgKqHrjrRuOMQlevsG5dvgIcctxFMYWA\",\"y\":"                  \
    "\"DLRWl0gZvBhVrPkOtktuB8uUHSuFYjHWjoRdG0lLC4Q\",\"crv\":\"P-256\""
#define ED_JWK                                                                                     \
    "\"crv\":\"Ed25519\",\"x\":\"hYVu3rVpzwoe0fvooAcFX1joxYE6GFw-SebLPtOASuc\",\"kty\":\"OKP\""

#endif
