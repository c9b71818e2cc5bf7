// @kubernetes/client-node: lines of JSON in, lines of JSON out, as clients/cells.py describes them.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { PassThrough, Writable } from 'node:stream';
import * as k8s from '@kubernetes/client-node';

const OBJECTS = JSON.parse(readFileSync(new URL('../objects.json', import.meta.url), 'utf8'));
const [server, scratch] = process.argv.slice(2);
const [LISTED, PAGE, SECONDS] = ['default', 300, 20];

const config = new k8s.KubeConfig();
config.loadFromOptions({
  clusters: [{ name: 'c', server, skipTLSVerify: true }], users: [{ name: 'u' }],
  contexts: [{ name: 'x', cluster: 'c', user: 'u' }], currentContext: 'x',
});
const core = config.makeApiClient(k8s.CoreV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);

const placed = (name, namespace) => ({ ...OBJECTS[name], metadata: { ...OBJECTS[name].metadata, namespace } });
const digest = (items) => ({
  items: items.length, sha256: createHash('sha256').update(JSON.stringify(items)).digest('hex'),
});
const within = (promise, what) => {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`no ${what}`)), SECONDS * 1000); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};
// A stream that keeps what comes; until() resolves when it holds what is waited for.
class Heard extends Writable {
  text = '';
  waiting = [];
  _write(chunk, _, done) {
    this.text += chunk;
    this.waiting = this.waiting.filter(([found, resolve]) => !found(this.text) || resolve(this.text));
    done();
  }
  until(found) {
    if (found(this.text)) return Promise.resolve(this.text);
    return within(new Promise((resolve) => this.waiting.push([found, resolve])), `more than ${JSON.stringify(this.text)}`);
  }
}

async function patched(kind, name, body, strategy, namespace) {
  const call = { ConfigMap: 'patchNamespacedConfigMap', Pod: 'patchNamespacedPod' }[kind];
  return core[call]({ name, namespace, body: OBJECTS[body] }, k8s.setHeaderOptions('Content-Type', strategy));
}

const operations = {
  get: (namespace) => core.readNamespacedConfigMap({ name: 'settings', namespace }),
  missing: (namespace) => core.readNamespacedConfigMap({ name: 'nope', namespace }).then(
    () => { throw new Error('found'); }, (error) => [error.code, JSON.parse(error.body)]),
  whole_list: async () => digest((await core.listNamespacedPod({ namespace: LISTED })).items),
  pages: async () => {
    const [items, sizes] = [[], []];
    let _continue;
    do {
      const page = await core.listNamespacedPod({ namespace: LISTED, limit: PAGE, _continue });
      items.push(...page.items);
      sizes.push([page.items.length, page.metadata.remainingItemCount]);
      _continue = page.metadata._continue;
    } while (_continue);
    return [sizes, digest(items)];
  },
  custom: async () => {
    const api = config.makeApiClient(k8s.CustomObjectsApi);
    return digest((await api.listClusterCustomObject({ group: 'example.com', version: 'v1', plural: 'widgets' })).items);
  },
  watch: async (namespace) => {
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const { resourceVersion } = (await core.listNamespacedConfigMap({ namespace })).metadata;
    await core.createNamespacedConfigMap({ namespace, body: OBJECTS.created });
    const seen = [];
    let watching;
    await within(new Promise((resolve, reject) => {
      const told = (phase, item) => {
        seen.push([phase, item.metadata.name, item.data]);
        if (phase === 'ADDED') patched('ConfigMap', 'created', 'ready_patch', k8s.PatchStrategy.MergePatch, namespace).catch(reject);
        else if (phase === 'MODIFIED') core.deleteNamespacedConfigMap({ name: 'created', namespace }).catch(reject);
        else resolve();
      };
      watching = new k8s.Watch(config).watch(path, { resourceVersion, timeoutSeconds: SECONDS }, told, (error) => error && reject(error));
    }), 'event');
    (await watching).abort();
    return seen;
  },
  informer: async (namespace) => {
    const list = () => core.listNamespacedConfigMap({ namespace });
    const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, list);
    const seen = [];
    await within(new Promise((resolve, reject) => {
      informer.on('error', reject);
      informer.on('add', (item) => {
        if (seen.push(['add', item.metadata.name]) === 2) {
          patched('ConfigMap', 'settings', 'ready_patch', k8s.PatchStrategy.MergePatch, namespace).catch(reject);
        }
      });
      informer.on('update', (item) => {
        seen.push(['update', item.metadata.name, item.data]);
        core.deleteNamespacedConfigMap({ name: 'settings', namespace }).catch(reject);
      });
      informer.on('delete', (item) => resolve(seen.push(['delete', item.metadata.name])));
      informer.start().catch(reject);
    }), 'event').finally(() => informer.stop());
    return [seen, informer.list().map((item) => item.metadata.name)];
  },
  create: (namespace) => objects.create(placed('created', namespace)),
  replace: (namespace) => core.replaceNamespacedConfigMap({ name: 'settings', namespace, body: OBJECTS.replacement }),
  json_patch: (namespace) => patched('ConfigMap', 'settings', 'json_patch', k8s.PatchStrategy.JsonPatch, namespace),
  merge_patch: (namespace) => patched('ConfigMap', 'settings', 'merge_patch', k8s.PatchStrategy.MergePatch, namespace),
  strategic_patch: (namespace) => patched('Pod', 'web', 'strategic_patch', k8s.PatchStrategy.StrategicMergePatch, namespace),
  server_side_apply: async (namespace) => {
    const done = [];
    for (const name of ['applied', 'applied_again']) {
      done.push(await objects.patch(placed(name, namespace), undefined, undefined, 'matrix', undefined, k8s.PatchStrategy.ServerSideApply));
    }
    return done;
  },
  delete: (namespace) => core.deleteNamespacedConfigMap({ name: 'settings', namespace }),
  delete_collection: async (namespace) => {
    await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'group=many' });
    return (await core.listNamespacedConfigMap({ namespace })).items.map((item) => item.metadata.name);
  },
  execute: async (namespace) => {
    const exec = new k8s.Exec(config);
    const run = (command, input) => {
      const [out, err] = [new Heard(), new Heard()];
      return within(new Promise((resolve, reject) => {
        exec.exec(namespace, 'web', 'main', command, out, err, input, false, (status) => resolve([out.text, err.text, status]))
          .catch(reject);
      }), 'end of a command');
    };
    const input = new PassThrough();
    input.end('in\n'.repeat(10000));
    return [await run(['sh', '-c', 'echo out; echo oops >&2; exit 3'], null), digest(await run(['cat'], input))];
  },
  attach: async (namespace) => {
    const [out, input] = [new Heard(), new PassThrough()];
    const socket = await new k8s.Attach(config).attach(namespace, 'web', 'main', out, null, input, false);
    input.write('typed\n');
    await out.until((text) => text.includes('typed\n') && text.includes(' tick ')).finally(() => socket.close());
    return ['tick', 'typed'];
  },
  logs: (namespace) => core.readNamespacedPodLog({ name: 'web', namespace, tailLines: 3 }),
  follow_logs: async (namespace) => {
    const out = new Heard();
    const following = await new k8s.Log(config).log(namespace, 'web', 'main', out, { follow: true, tailLines: 2 });
    const text = await out.until((text) => text.split('\n').length > 5).finally(() => following.abort());
    const numbers = text.trim().split('\n').slice(0, 5).map((line) => Number(line.split(' tick ')[1]));
    return numbers.map((number) => number - numbers[0]);
  },
  port_forward: async (namespace) => {
    const answers = [];
    for (const [port, sent, end] of [[7, 'echo', 'echo'], [80, 'GET /hello HTTP/1.0\r\n\r\n', '/hello\n']]) {
      const [out, err, input] = [new Heard(), new Heard(), new PassThrough()];
      const socket = await new k8s.PortForward(config).portForward(namespace, 'web', [port], out, err, input);
      input.write(sent);
      answers.push(await out.until((text) => text.endsWith(end)).finally(() => socket.close()));
    }
    return answers;
  },
  copy: async (namespace) => {
    const folder = `${scratch}/${namespace}`;
    mkdirSync(`${folder}/source/sub`, { recursive: true });
    mkdirSync(`${folder}/copy`);
    const files = { 'a.txt': 'one\n', 'sub/b.txt': 'two\n'.repeat(100000) };
    for (const [name, content] of Object.entries(files)) writeFileSync(`${folder}/source/${name}`, content);
    const cp = new k8s.Cp(config);
    const exec = new k8s.Exec(config);
    // Neither way tells when it is through, so we look until everything is there.
    await cp.cpToPod(namespace, 'web', 'main', `${folder}/source`, '/');
    const there = async () => {
      const out = new Heard();
      await within(new Promise((resolve, reject) => {
        exec.exec(namespace, 'web', 'main', ['cat', '/a.txt', '/sub/b.txt'], out, null, null, false, resolve).catch(reject);
      }), 'content');
      return out.text.length;
    };
    const until = async (look) => {
      for (const end = Date.now() + SECONDS * 1000; Date.now() < end;) {
        if (await look()) return true;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return false;
    };
    if (!await until(async () => await there() === 400004)) throw new Error(`${await there()} bytes are there`);
    await cp.cpFromPod(namespace, 'web', 'main', 'sub', `${folder}/copy`, '/');
    return until(() => {
      try { return readFileSync(`${folder}/copy/sub/b.txt`, 'utf8') === files['sub/b.txt']; } catch { return false; }
    });
  },
  can_i: async () => (await objects.create(OBJECTS.review)).status,
  resources: async () => {
    const groups = await config.makeApiClient(k8s.ApisApi).getAPIVersions();
    return [groups.groups, (await core.getAPIResources()).resources];
  },
};

const described = (error) => `${error?.name ?? 'Error'} ${error?.code ?? ''} ${error?.body ?? error?.message ?? error}`;
// What the client throws where nobody can catch it: an aborted log, for one.
for (const event of ['unhandledRejection', 'uncaughtException']) process.on(event, (error) => console.error(error));
for await (const line of createInterface({ input: process.stdin })) {
  const { operation, namespace } = JSON.parse(line);
  let answer = { lacks: true };
  if (operations[operation]) {
    answer = await operations[operation](namespace).then((value) => ({ value }), (error) => ({ error: described(error) }));
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
