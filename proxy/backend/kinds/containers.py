"""k8s.io/api/core/v1: containers, and what stands in them."""

TABLE = """
ObjectReference~: kind.1 namespace.2 name.3 uid.4 apiVersion.5 resourceVersion.6 fieldPath.7
LocalObjectReference~: name.1
ResourceClaim: name.1! request.2
ResourceRequirements: limits.1{Quantity} requests.2{Quantity} claims.3[ResourceClaim/name]-
ObjectFieldSelector~: apiVersion.1 fieldPath.2!
ResourceFieldSelector~: containerName.1 resource.2! divisor.3:Quantity
ConfigMapKeySelector~: <LocalObjectReference.1 key.2! optional.3?:bool
SecretKeySelector~: <LocalObjectReference.1 key.2! optional.3?:bool
FileKeySelector~: volumeName.1! path.2! key.3! optional.4?:bool
EnvVarSource: fieldRef.1?:ObjectFieldSelector resourceFieldRef.2?:ResourceFieldSelector
  configMapKeyRef.3?:ConfigMapKeySelector secretKeyRef.4?:SecretKeySelector fileKeyRef.5?:FileKeySelector
EnvVar: name.1! value.2 valueFrom.3?:EnvVarSource
ConfigMapEnvSource: <LocalObjectReference.1 optional.2?:bool
SecretEnvSource: <LocalObjectReference.1 optional.2?:bool
EnvFromSource: prefix.1 configMapRef.2?:ConfigMapEnvSource secretRef.3?:SecretEnvSource
ContainerPort: name.1 hostPort.2:int containerPort.3!:int protocol.4=TCP hostIP.5
ContainerResizePolicy: resourceName.1! restartPolicy.2!
ContainerRestartRuleOnExitCodes: operator.1 values.2[int/]-
ContainerRestartRule: action.1 exitCodes.2?:ContainerRestartRuleOnExitCodes
VolumeMount: name.1! readOnly.2:bool recursiveReadOnly.7? mountPath.3! subPath.4 mountPropagation.5? subPathExpr.6
VolumeDevice: name.1! devicePath.2!
HTTPHeader: name.1! value.2!
ExecAction: command.1[]
HTTPGetAction: path.1 port.2!:IntOrString host.3 scheme.4 httpHeaders.5[HTTPHeader]
TCPSocketAction: port.1!:IntOrString host.2
GRPCAction: port.1!:int service.2?!
SleepAction: seconds.1!:int
ProbeHandler: exec.1?:ExecAction httpGet.2?:HTTPGetAction tcpSocket.3?:TCPSocketAction grpc.4?:GRPCAction
Probe: <ProbeHandler.1 initialDelaySeconds.2:int timeoutSeconds.3:int periodSeconds.4:int successThreshold.5:int
  failureThreshold.6:int terminationGracePeriodSeconds.7?:int
LifecycleHandler: exec.1?:ExecAction httpGet.2?:HTTPGetAction tcpSocket.3?:TCPSocketAction sleep.4?:SleepAction
Lifecycle: postStart.1?:LifecycleHandler preStop.2?:LifecycleHandler stopSignal.3?
Capabilities: add.1[] drop.2[]
SELinuxOptions: user.1 role.2 type.3 level.4
WindowsSecurityContextOptions: gmsaCredentialSpecName.1? gmsaCredentialSpec.2? runAsUserName.3? hostProcess.4?:bool
SeccompProfile: type.1! localhostProfile.2?
AppArmorProfile: type.1! localhostProfile.2?
SecurityContext: capabilities.1?:Capabilities privileged.2?:bool seLinuxOptions.3?:SELinuxOptions
  windowsOptions.10?:WindowsSecurityContextOptions runAsUser.4?:int runAsGroup.8?:int runAsNonRoot.5?:bool
  readOnlyRootFilesystem.6?:bool allowPrivilegeEscalation.7?:bool procMount.9? seccompProfile.11?:SeccompProfile
  appArmorProfile.12?:AppArmorProfile
Container: name.1! image.2 command.3[] args.4[] workingDir.5 ports.6[ContainerPort/containerPort,protocol]
  envFrom.19[EnvFromSource] env.7[EnvVar/name] resources.8:ResourceRequirements resizePolicy.23[ContainerResizePolicy]
  restartPolicy.24? restartPolicyRules.25[ContainerRestartRule] volumeMounts.9[VolumeMount/mountPath]
  volumeDevices.21[VolumeDevice/devicePath] livenessProbe.10?:Probe readinessProbe.11?:Probe startupProbe.22?:Probe
  lifecycle.12?:Lifecycle terminationMessagePath.13 terminationMessagePolicy.20 imagePullPolicy.14
  securityContext.15?:SecurityContext stdin.16:bool stdinOnce.17:bool tty.18:bool
EphemeralContainer: <Container.1 targetContainerName.2
ContainerStateWaiting: reason.1 message.2
ContainerStateRunning: startedAt.1:Time
ContainerStateTerminated: exitCode.1!:int signal.2:int reason.3 message.4 startedAt.5:Time finishedAt.6:Time
  containerID.7
ContainerState: waiting.1?:ContainerStateWaiting running.2?:ContainerStateRunning
  terminated.3?:ContainerStateTerminated
VolumeMountStatus: name.1! mountPath.2! readOnly.3:bool recursiveReadOnly.4?
LinuxContainerUser: uid.1!:int gid.2!:int supplementalGroups.3[int]
ContainerUser: linux.1?:LinuxContainerUser
ResourceHealth: resourceID.1! health.2
ResourceStatus: name.1! resources.2[ResourceHealth/resourceID]-
ContainerStatus: name.1! state.2:ContainerState lastState.3:ContainerState ready.4!:bool restartCount.5!:int image.6!
  imageID.7! containerID.8 started.9?:bool allocatedResources.10{Quantity} resources.11?:ResourceRequirements
  volumeMounts.12[VolumeMountStatus/mountPath] user.13?:ContainerUser
  allocatedResourcesStatus.14[ResourceStatus/name] stopSignal.15?
"""
