"""k8s.io/api/core/v1: pods."""

TABLE = """
Volume: name.1! <VolumeSource.2
NodeSelectorRequirement: key.1! operator.2! values.3[]
NodeSelectorTerm~: matchExpressions.1[NodeSelectorRequirement] matchFields.2[NodeSelectorRequirement]
NodeSelector~: nodeSelectorTerms.1![NodeSelectorTerm]
PreferredSchedulingTerm: weight.1!:int preference.2!:NodeSelectorTerm
NodeAffinity: requiredDuringSchedulingIgnoredDuringExecution.1?:NodeSelector
  preferredDuringSchedulingIgnoredDuringExecution.2[PreferredSchedulingTerm]
PodAffinityTerm: labelSelector.1?:LabelSelector namespaces.2[] topologyKey.3! namespaceSelector.4?:LabelSelector
  matchLabelKeys.5[] mismatchLabelKeys.6[]
WeightedPodAffinityTerm: weight.1!:int podAffinityTerm.2!:PodAffinityTerm
PodAffinity: requiredDuringSchedulingIgnoredDuringExecution.1[PodAffinityTerm]
  preferredDuringSchedulingIgnoredDuringExecution.2[WeightedPodAffinityTerm]
PodAntiAffinity: requiredDuringSchedulingIgnoredDuringExecution.1[PodAffinityTerm]
  preferredDuringSchedulingIgnoredDuringExecution.2[WeightedPodAffinityTerm]
Affinity: nodeAffinity.1?:NodeAffinity podAffinity.2?:PodAffinity podAntiAffinity.3?:PodAntiAffinity
Toleration: key.1 operator.2 value.3 effect.4 tolerationSeconds.5?:int
HostAlias: ip.1! hostnames.2[]
PodDNSConfigOption: name.1 value.2?
PodDNSConfig: nameservers.1[] searches.2[] options.3[PodDNSConfigOption]
PodReadinessGate: conditionType.1!
TopologySpreadConstraint: maxSkew.1!:int topologyKey.2! whenUnsatisfiable.3! labelSelector.4?:LabelSelector
  minDomains.5?:int nodeAffinityPolicy.6? nodeTaintsPolicy.7? matchLabelKeys.8[]
PodOS: name.1!
PodSchedulingGate: name.1!
PodResourceClaim: name.1! resourceClaimName.3? resourceClaimTemplateName.4?
Sysctl: name.1! value.2!
PodSecurityContext: seLinuxOptions.1?:SELinuxOptions windowsOptions.8?:WindowsSecurityContextOptions runAsUser.2?:int
  runAsGroup.6?:int runAsNonRoot.3?:bool supplementalGroups.4[int] supplementalGroupsPolicy.12? fsGroup.5?:int
  sysctls.7[Sysctl] fsGroupChangePolicy.9? seccompProfile.10?:SeccompProfile appArmorProfile.11?:AppArmorProfile
  seLinuxChangePolicy.13?
PodSpec: volumes.1[Volume/name]^ initContainers.20[Container/name] containers.2![Container/name]
  ephemeralContainers.34[EphemeralContainer/name] restartPolicy.3 terminationGracePeriodSeconds.4?:int
  activeDeadlineSeconds.5?:int dnsPolicy.6 nodeSelector.7~{} serviceAccountName.8 serviceAccount.9
  automountServiceAccountToken.21?:bool nodeName.10 hostNetwork.11:bool hostPID.12:bool hostIPC.13:bool
  shareProcessNamespace.27?:bool securityContext.14?:PodSecurityContext
  imagePullSecrets.15[LocalObjectReference/name] hostname.16 subdomain.17 affinity.18?:Affinity schedulerName.19
  tolerations.22[Toleration] hostAliases.23[HostAlias/ip] priorityClassName.24 priority.25?:int
  dnsConfig.26?:PodDNSConfig readinessGates.28[PodReadinessGate] runtimeClassName.29? enableServiceLinks.30?:bool
  preemptionPolicy.31? overhead.32{Quantity}
  topologySpreadConstraints.33[TopologySpreadConstraint/topologyKey,whenUnsatisfiable] setHostnameAsFQDN.35?:bool
  os.36?:PodOS hostUsers.37?:bool schedulingGates.38[PodSchedulingGate/name] resourceClaims.39[PodResourceClaim/name]^
  resources.40?:ResourceRequirements hostnameOverride.41?
PodCondition: type.1! observedGeneration.7:int status.2! lastProbeTime.3:Time lastTransitionTime.4:Time reason.5
  message.6
HostIP: ip.1!
PodIP: ip.1!
PodResourceClaimStatus: name.1! resourceClaimName.2?
ContainerExtendedResourceRequest: containerName.1! resourceName.2! requestName.3!
PodExtendedResourceClaimStatus: requestMappings.1![ContainerExtendedResourceRequest] resourceClaimName.2!
PodStatus: observedGeneration.17:int phase.1 conditions.2[PodCondition/type] message.3 reason.4 nominatedNodeName.11
  hostIP.5 hostIPs.16[HostIP]+ip podIP.6 podIPs.12[PodIP/ip] startTime.7?:Time
  initContainerStatuses.10[ContainerStatus] containerStatuses.8[ContainerStatus] qosClass.9
  ephemeralContainerStatuses.13[ContainerStatus] resize.14 resourceClaimStatuses.15[PodResourceClaimStatus/name]^
  extendedResourceClaimStatus.18?:PodExtendedResourceClaimStatus
Pod: metadata.1:ObjectMeta spec.2:PodSpec status.3:PodStatus
PodTemplateSpec: metadata.1:ObjectMeta spec.2:PodSpec
"""
