"""k8s.io/api/core/v1: everything but pods."""

TABLE = """
Secret: metadata.1:ObjectMeta immutable.5?:bool data.2{bytes} stringData.4{} type.3
ConfigMap: metadata.1:ObjectMeta immutable.4?:bool data.2{} binaryData.3{bytes}
NamespaceCondition: type.1! status.2! lastTransitionTime.4:Time reason.5 message.6
NamespaceSpec: finalizers.1[]
NamespaceStatus: phase.1 conditions.2[NamespaceCondition/type]
Namespace: metadata.1:ObjectMeta spec.2:NamespaceSpec status.3:NamespaceStatus
ConfigMapNodeConfigSource: namespace.1! name.2! uid.3 resourceVersion.4 kubeletConfigKey.5!
NodeConfigSource: configMap.2?:ConfigMapNodeConfigSource
Taint: key.1! value.2 effect.3! timeAdded.4?:Time
NodeSpec: podCIDR.1 podCIDRs.7[/] providerID.3 unschedulable.4:bool taints.5[Taint] configSource.6?:NodeConfigSource
  externalID.2
NodeCondition: type.1! status.2! lastHeartbeatTime.3:Time lastTransitionTime.4:Time reason.5 message.6
NodeAddress: type.1! address.2!
DaemonEndpoint: Port.1!:int
NodeDaemonEndpoints: kubeletEndpoint.1:DaemonEndpoint
NodeSwapStatus: capacity.1?:int
NodeSystemInfo: machineID.1! systemUUID.2! bootID.3! kernelVersion.4! osImage.5! containerRuntimeVersion.6!
  kubeletVersion.7! kubeProxyVersion.8! operatingSystem.9! architecture.10! swap.11?:NodeSwapStatus
ContainerImage: names.1![] sizeBytes.2:int
AttachedVolume: name.1! devicePath.2!
NodeConfigStatus: assigned.1?:NodeConfigSource active.2?:NodeConfigSource lastKnownGood.3?:NodeConfigSource error.4
NodeRuntimeHandlerFeatures: recursiveReadOnlyMounts.1?:bool userNamespaces.2?:bool
NodeRuntimeHandler: name.1! features.2?:NodeRuntimeHandlerFeatures
NodeFeatures: supplementalGroupsPolicy.1?:bool
NodeStatus: capacity.1{Quantity} allocatable.2{Quantity} phase.3 conditions.4[NodeCondition/type]
  addresses.5[NodeAddress/type] daemonEndpoints.6:NodeDaemonEndpoints nodeInfo.7:NodeSystemInfo
  images.8[ContainerImage] volumesInUse.9[] volumesAttached.10[AttachedVolume] config.11?:NodeConfigStatus
  runtimeHandlers.12[NodeRuntimeHandler] features.13?:NodeFeatures declaredFeatures.14[]
Node: metadata.1:ObjectMeta spec.2:NodeSpec status.3:NodeStatus
EventSource: component.1 host.2
EventSeries: count.1:int lastObservedTime.2:MicroTime
Event: metadata.1!:ObjectMeta involvedObject.2!:ObjectReference reason.3 message.4 source.5:EventSource
  firstTimestamp.6:Time lastTimestamp.7:Time count.8:int type.9 eventTime.10:MicroTime series.11?:EventSeries action.12
  related.13?:ObjectReference reportingComponent.14! reportingInstance.15!
ServiceAccount: metadata.1:ObjectMeta secrets.2[ObjectReference/name] imagePullSecrets.3[LocalObjectReference]
  automountServiceAccountToken.4?:bool
ServicePort: name.1 protocol.2=TCP appProtocol.6? port.3!:int targetPort.4:IntOrString nodePort.5:int
ClientIPConfig: timeoutSeconds.1?:int
SessionAffinityConfig: clientIP.1?:ClientIPConfig
ServiceSpec: ports.1[ServicePort/port,protocol] selector.2~{} clusterIP.3 clusterIPs.18[] type.4 externalIPs.5[]
  sessionAffinity.7 loadBalancerIP.8 loadBalancerSourceRanges.9[] externalName.10 externalTrafficPolicy.11
  healthCheckNodePort.12:int publishNotReadyAddresses.13:bool sessionAffinityConfig.14?:SessionAffinityConfig
  ipFamilies.19[] ipFamilyPolicy.17? allocateLoadBalancerNodePorts.20?:bool loadBalancerClass.21?
  internalTrafficPolicy.22? trafficDistribution.23?
PortStatus: port.1!:int protocol.2! error.3?
LoadBalancerIngress: ip.1 hostname.2 ipMode.3? ports.4[PortStatus]
LoadBalancerStatus: ingress.1[LoadBalancerIngress]
ServiceStatus: loadBalancer.1:LoadBalancerStatus conditions.2[Condition/type]
Service: metadata.1:ObjectMeta spec.2:ServiceSpec status.3:ServiceStatus
"""
