// A certificate for localhost, made for each test run.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tool } from './env.mjs';
import { run } from './process.mjs';

export function makeCertificate(dir) {
    const tls = { certificate: join(dir, 'tls.pem'), key: join(dir, 'tls.key') };
    const done = run(tool('openssl'), ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
        'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext',
        'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', tls.key, '-out', tls.certificate]);
    if (done.code !== 0)
        throw new Error(`openssl: ${done.stderr}`);
    tls.ca = readFileSync(tls.certificate);
    return tls;
}
