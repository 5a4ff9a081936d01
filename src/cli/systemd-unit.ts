import path from 'node:path';
import { checkout } from '../base/program-files.ts';

/**
 * Returns a unit for systemd that runs the daemon. KillMode=process: envs and their drivers, which the daemon has started, outlive
 * it, as do operations.
 */
export const unitText = (): string => `[Unit]
Description=byref: the manager of environments by reference
Documentation=file://${path.join(checkout(), 'docs/guide/running.md')}
After=local-fs.target network.target
RequiresMountsFor=/var/lib/byref

[Service]
Type=notify
NotifyAccess=all
ExecStart=${path.join(checkout(), 'bin/byref')} daemon
Restart=always
RestartSec=1
KillMode=process
Delegate=yes
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`;
