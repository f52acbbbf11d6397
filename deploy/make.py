#!/usr/bin/env python3
"""Writes deploy/aci/*.bicep and *.json from the one description in this file. usage: deploy/make.py [--check]

--check changes nothing and fails if a file is not what would be written.
"""

import json
import os
import re
import sys

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "aci")
API = "2023-05-01"
READY = "/mnt/plain/.decant/ready.json"


class Parameter(str):
    """The value of a template's parameter, where a value or a member's name may stand."""


PARAMETERS = {
    "name": ("string", "Name of the container group", "decant"),
    "location": ("string", "A region that has confidential containers", "northeurope"),
    "image": ("string", "The workload's image, with a tag that never moves", None),
    "decantImage": ("string", "decant's image", None),
    "registry": ("string", "Server of the registry both images are in", None),
    "identity": ("string", "Resource id of the user-assigned managed identity; pulls the images, too", None),
    "job": ("string", "The job, as base64 of its JSON: base64 -w0 job.json", None),
    "ccePolicy": ("string", "What az confcom acipolicygen --print-policy printed", ""),
    "tenant": ("string", "Directory (tenant) of the application", None),
    "client": ("string", "Client id of the application", None),
    "clientSecret": ("securestring", "Secret of the application", None),
    "federatedToken": ("securestring", "Base64 of a token of an issuer that the application trusts", None),
}


def environment(**variables):
    return [{"name": name, **value} if isinstance(value, dict) else {"name": name, "value": value}
            for name, value in variables.items()]


def container(name, image, command, variables, *, mounts=(), read_only=False, resources=True):
    """RESOURCES: ordinary containers ask for some; an init container gets the group's."""
    made = {"image": Parameter(image)}
    if command:
        made["command"] = command
    made["environmentVariables"] = variables
    if resources:
        made["resources"] = {"requests": {"cpu": 1, "memoryInGB": 2}}
    made["volumeMounts"] = [{"name": "plain", "mountPath": "/mnt/plain", "readOnly": read_only}, *mounts]
    made["securityContext"] = {"privileged": False, "allowPrivilegeEscalation": False, "runAsUser": 65532, "runAsGroup": 65532,
                               "capabilities": {"drop": ["ALL"]}}
    return {"name": name, "properties": made}


def group(containers, *, inits=(), volumes=()):
    properties = {"sku": "Confidential", "osType": "Linux", "restartPolicy": "OnFailure",
                  "confidentialComputeProperties": {"ccePolicy": Parameter("ccePolicy")},
                  "imageRegistryCredentials": [{"server": Parameter("registry"), "identity": Parameter("identity")}]}
    if inits:
        properties["initContainers"] = list(inits)
    properties["containers"] = containers
    properties["volumes"] = [{"name": "plain", "emptyDir": {}}, *volumes]
    return {"name": Parameter("name"), "location": Parameter("location"),
            "identity": {"type": "UserAssigned", "userAssignedIdentities": {Parameter("identity"): {}}},
            "properties": properties}


JOB = {"DECANT_JOB": Parameter("job")}
NO_IDENTITY = ("ACI gives init containers NO managed identity: nothing answers at 169.254.169.254 while they run.",
               "So decant needs credentials of its own here. The group's identity below only pulls the images.")

TEMPLATES = {
    "exec": (
        ("decant is the entry point of the workload's image: it pours, then starts the workload as its child.",
         "The workload's image has decant in it: COPY --from=DECANT-IMAGE /usr/bin/decant /usr/bin/decant"),
        group([container("workload", "image", ["/usr/bin/decant", "exec", "--", "/app/start"], environment(**JOB))])),
    "beside": (
        ("decant runs as an ordinary container, which has the group's managed identity; the workload waits for it.",
         "The workload's image has decant in it, for wait. Both run as one user, so that files of mode 0440 can be read."),
        group([container("decant", "decantImage", ["/usr/bin/decant", "run"], environment(**JOB)),
               container("workload", "image", ["/usr/bin/decant", "wait", READY, "--timeout", "1800", "--", "/app/start"],
                         [], read_only=True)])),
    "init-secret": (
        (*NO_IDENTITY, "This template: a secret of an application. The job says identity.type client_secret."),
        group([container("workload", "image", ["/app/start"], [], read_only=True)],
              inits=[container("decant", "decantImage", ["/usr/bin/decant", "run"],
                               environment(**JOB, AZURE_TENANT_ID=Parameter("tenant"), AZURE_CLIENT_ID=Parameter("client"),
                                           AZURE_CLIENT_SECRET={"secureValue": Parameter("clientSecret")}),
                               resources=False)])),
    "init-workload": (
        (*NO_IDENTITY, "This template: workload identity. Whoever deploys puts in a token of an issuer that the application trusts",
         "(a federated credential); it lives about an hour, restarts included. The job says identity.type workload."),
        group([container("workload", "image", ["/app/start"], [], read_only=True)],
              inits=[container("decant", "decantImage", ["/usr/bin/decant", "run"],
                               environment(**JOB, AZURE_TENANT_ID=Parameter("tenant"), AZURE_CLIENT_ID=Parameter("client"),
                                           AZURE_FEDERATED_TOKEN_FILE="/run/federated/token"),
                               mounts=[{"name": "federated", "mountPath": "/run/federated", "readOnly": True}],
                               resources=False)],
              volumes=[{"name": "federated", "secret": {"token": Parameter("federatedToken")}}])),
}


def parameters_of(value):
    """The parameters that VALUE uses."""
    if isinstance(value, Parameter):
        return {str(value)}
    if isinstance(value, dict):
        return set().union(*(parameters_of(part) for pair in value.items() for part in pair))
    return set().union(*(parameters_of(part) for part in value)) if isinstance(value, list) else set()


def arm_value(value):
    if isinstance(value, Parameter):
        return f"[parameters('{value}')]"
    if isinstance(value, dict):
        return {arm_value(name): arm_value(part) for name, part in value.items()}
    return [arm_value(part) for part in value] if isinstance(value, list) else value


def arm_parameter(kind, text, default):
    made = {"type": kind, "metadata": {"description": text}}
    return made if default is None else {**made, "defaultValue": default}


def arm(notes, resource):
    used = parameters_of(resource)
    template = {"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
                "contentVersion": "1.0.0.0", "metadata": {"description": " ".join(notes)},
                "parameters": {name: arm_parameter(*row) for name, row in PARAMETERS.items() if name in used},
                "resources": [{"type": "Microsoft.ContainerInstance/containerGroups", "apiVersion": API,
                               **arm_value(resource)}]}
    return json.dumps(template, indent=2, ensure_ascii=False) + "\n"


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${") + "'"


def bicep_name(name):
    if isinstance(name, Parameter):
        return f"'${{{name}}}'"
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else quoted(name)


def bicep_value(value, indent):
    inner = indent + "  "
    if isinstance(value, Parameter):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    if not value:
        return "{}" if isinstance(value, dict) else "[]"
    if isinstance(value, dict):
        lines = [f"{inner}{bicep_name(name)}: {bicep_value(part, inner)}" for name, part in value.items()]
        return "\n".join(["{", *lines, indent + "}"])
    return "\n".join(["[", *(inner + bicep_value(part, inner) for part in value), indent + "]"])


def bicep_parameter(name, kind, text, default):
    secure = "@secure()\n" if kind == "securestring" else ""
    value = "" if default is None else f" = {quoted(default)}"
    return f"@description({quoted(text)})\n{secure}param {name} string{value}\n"


def bicep(notes, resource):
    used = parameters_of(resource)
    head = "".join(f"// {note}\n" for note in (*notes, "Written by deploy/make.py, as is the .json beside it."))
    rows = "\n".join(bicep_parameter(name, *row) for name, row in PARAMETERS.items() if name in used)
    return (f"{head}\n{rows}\nresource group 'Microsoft.ContainerInstance/containerGroups@{API}' = "
            f"{bicep_value(resource, '')}\n")


def files():
    for name, (notes, resource) in TEMPLATES.items():
        yield f"{name}.bicep", bicep(notes, resource)
        yield f"{name}.json", arm(notes, resource)


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit("usage: deploy/make.py [--check]")
    stale = []
    for name, text in files():
        path = os.path.join(FOLDER, name)
        if arguments:
            with open(path, encoding="utf-8") as file:
                stale += [name] if file.read() != text else []
        else:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    if stale:
        sys.exit(f"not what deploy/make.py writes: {' '.join(stale)}")


if __name__ == "__main__":
    main(sys.argv[1:])
