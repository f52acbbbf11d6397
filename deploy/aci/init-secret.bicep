// ACI gives init containers NO managed identity: nothing answers at 169.254.169.254 while they run.
// So decant needs credentials of its own here. The group's identity below only pulls the images.
// This template: a secret of an application. The job says identity.type client_secret.
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

@description('Directory (tenant) of the application')
param tenant string

@description('Client id of the application')
param client string

@description('Secret of the application')
@secure()
param clientSecret string

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
    initContainers: [
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
            {
              name: 'AZURE_TENANT_ID'
              value: tenant
            }
            {
              name: 'AZURE_CLIENT_ID'
              value: client
            }
            {
              name: 'AZURE_CLIENT_SECRET'
              secureValue: clientSecret
            }
          ]
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
    ]
    containers: [
      {
        name: 'workload'
        properties: {
          image: image
          command: [
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
