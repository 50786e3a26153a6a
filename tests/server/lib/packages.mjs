// npm packages that the tests use as they are, installed into the build folder.
import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {pathToFileURL} from 'node:url';

import {patience} from './server.mjs';

/** Installs {name: version} once into `folder` below LIVEPEER_TEST_PACKAGES. Returns import(), or
 *  undefined where the registry cannot be reached. */
export function install(folder, dependencies) {
  const root = path.join(process.env.LIVEPEER_TEST_PACKAGES ?? '.', folder);
  const manifest = path.join(root, 'package.json');
  const installed = Object.keys(dependencies).every((name) => existsSync(path.join(root, 'node_modules', name, 'package.json')));
  if (!installed) {
    mkdirSync(root, {recursive: true});
    writeFileSync(manifest, JSON.stringify({private: true, dependencies}));
    const {status, stderr} = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts'],
                                       {cwd: root, encoding: 'utf8', timeout: patience});
    if (status !== 0) {
      console.log(`# npm install failed: ${(stderr ?? 'npm is missing').split('\n').slice(0, 3).join(' ')}`);
      return undefined;
    }
  }
  const require = createRequire(manifest);
  return (name) => import(pathToFileURL(require.resolve(name)));
}
