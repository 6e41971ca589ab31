// Loads SDF files with the SDF library itself; prints what it finds wrong. Warnings and unknown elements are errors.
#include <iostream>
#include <sdf/sdf.hh>
int main(int argc, char **argv)
{
  auto config = sdf::ParserConfig::GlobalConfig();
  config.SetWarningsPolicy(sdf::EnforcementPolicy::ERR);
  config.SetUnrecognizedElementsPolicy(sdf::EnforcementPolicy::ERR);
  config.SetDeprecatedElementsPolicy(sdf::EnforcementPolicy::ERR);
  int faults = 0;
  for (int i = 1; i < argc; ++i)
  {
    sdf::Root root;
    for (const auto &error : root.Load(argv[i], config))
    {
      std::cerr << argv[i] << ": " << error << std::endl;
      ++faults;
    }
    if (!sdf::checkCanonicalLinkNames(&root) || !sdf::checkFrameAttachedToGraph(&root) ||
        !sdf::checkPoseRelativeToGraph(&root) || !sdf::recursiveSameTypeUniqueNames(root.Element()))
      ++faults;
  }
  return faults != 0;
}
