// decant runs as an ordinary container, which has the group's managed identity; the workload waits for it.
// The workload's image has decant in it, for wait. Both run as one user, so that files of mode 0440 can be read.
// Written by deploy/make.py, as is the .json beside it.

@description('Name of the container group')
param name string = 'decant'

@description('A region that has confidential containers')
param location string = 'northeurope'

@description('The workload\'s image, with a tag that never moves')
param image string

@description('decant\'s image')
param decantImage string

@description('Server of the registry both images are in')
param registry string

@description('Resource id of the user-assigned managed identity; pulls the images, too')
param identity string

@description('The job, as base64 of its JSON: base64 -w0 job.json')
param job string

@description('What az confcom acipolicygen --print-policy printed')
param ccePolicy string = ''

resource group 'Microsoft.ContainerInstance/containerGroups@2023-05-01' = {
  name: name
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity}': {}
    }
  }
  properties: {
    sku: 'Confidential'
    osType: 'Linux'
    restartPolicy: 'OnFailure'
    confidentialComputeProperties: {
      ccePolicy: ccePolicy
    }
    imageRegistryCredentials: [
      {
        server: registry
        identity: identity
      }
    ]
    containers: [
      {
        name: 'decant'
        properties: {
          image: decantImage
          command: [
            '/usr/bin/decant'
            'run'
          ]
          environmentVariables: [
            {
              name: 'DECANT_JOB'
              value: job
            }
          ]
          resources: {
            requests: {
              cpu: 1
              memoryInGB: 2
            }
          }
          volumeMounts: [
            {
              name: 'plain'
              mountPath: '/mnt/plain'
              readOnly: false
            }
          ]
          securityContext: {
            privileged: false
            allowPrivilegeEscalation: false
            runAsUser: 65532
            runAsGroup: 65532
            capabilities: {
              drop: [
                'ALL'
              ]
            }
          }
        }
      }
      {
        name: 'workload'
        properties: {
          image: image
          command: [
            '/usr/bin/decant'
            'wait'
            '/mnt/plain/.decant/ready.json'
            '--timeout'
            '1800'
            '--'
            '/app/start'
          ]
          environmentVariables: []
          resources: {
            requests: {
              cpu: 1
              memoryInGB: 2
            }
          }
          volumeMounts: [
            {
              name: 'plain'
              mountPath: '/mnt/plain'
              readOnly: true
            }
          ]
          securityContext: {
            privileged: false
            allowPrivilegeEscalation: false
            runAsUser: 65532
            runAsGroup: 65532
            capabilities: {
              drop: [
                'ALL'
              ]
            }
          }
        }
      }
    ]
    volumes: [
      {
        name: 'plain'
        emptyDir: {}
      }
    ]
  }
}
