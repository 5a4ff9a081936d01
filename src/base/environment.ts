/** Returns the variables of an environment that are set. @param environment this process's, if not given */
export function setVariables(environment: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined) found[name] = value;
  }
  return found;
}
