// JSON Web Tokens, made with Node's own cryptography, so that nothing of freshet vouches for itself;
// and made wrong in the ways in which attackers do.
import { createHmac, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
    .toString('base64url');

/** Keys of every kind: { secret, rsa, ec, ed }, all but the first { private, public } as PEM. */
export function makeKeys() {
    const pem = (pair) => ({
        private: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
        public: pair.publicKey.export({ type: 'spki', format: 'pem' }),
    });
    return {
        secret: randomBytes(32).toString('hex'),
        rsa: pem(generateKeyPairSync('rsa', { modulusLength: 2048 })),
        ec: pem(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
        ed: pem(generateKeyPairSync('ed25519')),
    };
}

/** A JSON Web Key Set of public keys in PEM, or secrets, by their names. */
export function makeKeySet(keys) {
    return JSON.stringify({ keys: Object.entries(keys).map(([kid, key]) => ({
        kid, ...(key.startsWith('-----BEGIN') ? createPublicKey(key).export({ format: 'jwk' })
            : { kty: 'oct', k: Buffer.from(key).toString('base64url') }),
    })) });
}

/** A token; header: more members, or other ones than the usual. key: a secret or a private key. */
export function makeToken(key, claims, { alg = 'HS256', header = {} } = {}) {
    const signed = `${encode({ alg, typ: 'JWT', ...header })}.${encode(claims)}`;
    const signature = {
        HS256: () => createHmac('sha256', key).update(signed).digest('base64url'),
        HS512: () => createHmac('sha512', key).update(signed).digest('base64url'),
        RS256: () => sign('sha256', signed, key).toString('base64url'),
        ES256: () => sign('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }).toString('base64url'),
        EdDSA: () => sign(null, Buffer.from(signed), key).toString('base64url'),
        none: () => '',
    }[alg]();
    return `${signed}.${signature}`;
}

/** The same token with other claims, or another header, under the old signature. */
export function tamper(token, { header, claims }) {
    const [first, second, third] = token.split('.');
    return [header ? encode(header) : first, claims ? encode(claims) : second, third].join('.');
}
